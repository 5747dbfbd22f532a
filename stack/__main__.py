from stack.commands import app

app(prog_name="python -m stack")

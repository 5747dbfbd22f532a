from stack.run import app

app(prog_name="python -m stack")

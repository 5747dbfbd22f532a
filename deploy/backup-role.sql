-- Makes the role that backs the database up. Run it once, as a superuser.
--
-- Row security is forced on the owner too, so pg_dump as the owner ends with an error; with
-- --enable-row-security it would leave rows out without one. This role reads every row and
-- writes none. Give it a password with \password.
CREATE ROLE khronika_backup LOGIN BYPASSRLS NOSUPERUSER NOCREATEDB NOCREATEROLE;
GRANT pg_read_all_data TO khronika_backup;

-- A table of the clinic's own that refers to users by their unique e-mail.
CREATE TABLE clinic_badges (id int PRIMARY KEY, owner varchar(255) REFERENCES users (email) ON DELETE CASCADE);
INSERT INTO clinic_badges SELECT row_number() OVER (), email FROM users LIMIT 2;

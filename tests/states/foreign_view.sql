-- Where users should be a table stands a view; the patients' key is a number.

CREATE TABLE accounts (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  email varchar(255) UNIQUE NOT NULL,
  name varchar(255),
  created_at timestamp DEFAULT now()
);
CREATE VIEW users AS SELECT id, email, name, 'user'::varchar(50) AS role, created_at FROM accounts;
CREATE TABLE patients (
  id bigint PRIMARY KEY,
  first_name varchar(255) NOT NULL,
  last_name varchar(255) NOT NULL
);
INSERT INTO accounts (email, name) VALUES ('one@example.test', 'واحد'), ('two@example.test', 'اثنان');
INSERT INTO patients VALUES (1, 'مريض', 'أول'), (2, 'Patient', 'Second');

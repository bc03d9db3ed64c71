-- A French hospital: accents in names, stays beside appointments, staff of all kinds in one table, invoices by stay.
CREATE TYPE civilite AS ENUM ('M.', 'Mme', 'Mlle');
CREATE TABLE service (code_service char(4) PRIMARY KEY, "libellé" text NOT NULL);
INSERT INTO service VALUES ('CARD','Cardiologie'),('PEDI','Pédiatrie'),('ORTH','Orthopédie');
CREATE TABLE personnel (
  matricule varchar(10) PRIMARY KEY, nom text NOT NULL, "prénom" text NOT NULL, courriel text UNIQUE, tel text,
  fonction text NOT NULL, code_service char(4) REFERENCES service, "n°_ordre" text, honoraires_cents integer,
  date_embauche date, date_sortie date, mot_de_passe text);
INSERT INTO personnel SELECT 'P'||lpad(n::text,4,'0'), 'Nom'||n, 'Prénom'||n, 'p'||n||'@hopital.example', '01'||n,
  (ARRAY['Médecin','Infirmière','Secrétaire','Directeur'])[1+n%4], (ARRAY['CARD','PEDI','ORTH'])[1+n%3],
  CASE WHEN n%4=0 THEN 'RPPS'||n END, CASE WHEN n%4=0 THEN 2500+n END, date '2010-01-01'+n,
  CASE WHEN n%11=0 THEN date '2020-01-01' END, '$2y$10$abcdefghijklmnopqrstuuN1u8Fv0Yk0R1Q1b3r9v6s2p8m5n4o3e'
FROM generate_series(1,40) n;
CREATE TABLE patient (
  ipp bigint PRIMARY KEY, civ civilite, nom_usuel text NOT NULL, "prénom" text NOT NULL, ddn date, sexe smallint,
  "téléphone" text, courriel text, adresse1 text, adresse2 text, cp varchar(5), ville text,
  personne_a_prevenir text, tel_personne_a_prevenir text, "antécédents" text, allergies text[],
  "créé_le" timestamptz DEFAULT now(),
  "décédé" boolean NOT NULL DEFAULT false);
INSERT INTO patient SELECT 8000000000+n, (ARRAY['M.','Mme','Mlle']::civilite[])[1+n%3], 'DUPONT-'||n, 'Élise '||n,
  date '1930-01-01'+n*37,
  1+n%2, '06'||n, CASE WHEN n%3=0 THEN 'pat'||n||'@x.example' END, n||' rue de la Paix', NULL,
  lpad((n*7)::text,5,'0'), 'Lyon',
  'Jean '||n, '07'||n, CASE WHEN n%5=0 THEN 'Diabète' END, CASE WHEN n%4=0 THEN ARRAY['pénicilline','noix'] END,
  '2019-03-04 10:00+01', n%50=0
FROM generate_series(1,300) n;
CREATE TABLE rendez_vous (
  num_rdv serial PRIMARY KEY, ipp bigint REFERENCES patient, matricule varchar(10) REFERENCES personnel,
  "début" timestamp NOT NULL, "durée" interval NOT NULL,
  "état" text NOT NULL, motif text, annule_par varchar(10));
INSERT INTO rendez_vous (ipp, matricule, "début", "durée", "état", motif) SELECT 8000000000+1+n%300,
  'P'||lpad((4*(1+n%10))::text,4,'0'), timestamp '2024-01-01 08:00'+n*interval '25 min',
  (15+15*(n%3))*interval '1 min', (ARRAY['Prévu','Confirmé','Honoré','Annulé','Non venu'])[1+n%5],
  'Contrôle '||n FROM generate_series(1,900) n;
CREATE TABLE consultation (
  id_consult serial PRIMARY KEY, num_rdv integer REFERENCES rendez_vous, conclusion text, conduite_a_tenir text,
  compte_rendu text, "validé" boolean);
INSERT INTO consultation (num_rdv, conclusion, conduite_a_tenir, compte_rendu, "validé") SELECT num_rdv, 'RAS',
  'Repos', 'cr '||num_rdv, num_rdv%2=0 FROM rendez_vous WHERE "état"='Honoré';
CREATE TABLE facture (
  "n°_facture" text PRIMARY KEY, num_rdv integer REFERENCES rendez_vous, mutuelle text,
  montant_total numeric(12,3), "remboursé" numeric(12,3), statut text, date_facture date, "réglée_le" date);
INSERT INTO facture SELECT 'F-2024/'||num_rdv, num_rdv, 'MGEN', 55.500, 40,
  (ARRAY['émise','acceptée','rejetée','réglée'])[1+num_rdv%4], "début"::date,
  CASE WHEN num_rdv%4=3 THEN "début"::date+30 END FROM rendez_vous WHERE "état"='Honoré';

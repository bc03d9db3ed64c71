-- A cabinet's own system in French, in mixed case, made by an object mapper: names must be quoted.

CREATE TABLE "Utilisateur" (
  "id" uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  "courriel" text NOT NULL UNIQUE,
  "motDePasse" text NOT NULL,
  "nomComplet" text NOT NULL,
  "profil" text NOT NULL,
  "estActif" boolean NOT NULL DEFAULT true,
  "creeLe" timestamptz NOT NULL DEFAULT now(),
  "modifieLe" timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE "Patient" (
  "id" uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  "numeroDossier" text NOT NULL UNIQUE,
  "utilisateurId" uuid UNIQUE REFERENCES "Utilisateur" ("id"),
  "prenom" text NOT NULL,
  "nom" text NOT NULL,
  "dateNaissance" date,
  "sexe" text,
  "telephone" text,
  "courriel" text,
  "adresse" text,
  "antecedents" text,
  "allergies" text[],
  "mutuelle" text,
  "creeLe" timestamptz NOT NULL DEFAULT now(),
  "modifieLe" timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE "Praticien" (
  "id" uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  "utilisateurId" uuid REFERENCES "Utilisateur" ("id"),
  "prenom" text NOT NULL,
  "nom" text NOT NULL,
  "specialite" text,
  "numeroOrdre" text,
  "tarif" numeric(8, 2),
  "telephone" text,
  "estActif" boolean NOT NULL DEFAULT true
);
CREATE TABLE "RendezVous" (
  "id" uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  "patientId" uuid NOT NULL REFERENCES "Patient" ("id"),
  "praticienId" uuid NOT NULL REFERENCES "Praticien" ("id"),
  "debut" timestamptz NOT NULL,
  "dureeMinutes" integer NOT NULL DEFAULT 30,
  "statut" text NOT NULL,
  "motif" text,
  "creeLe" timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE "Consultation" (
  "id" uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  "rendezVousId" uuid REFERENCES "RendezVous" ("id"),
  "patientId" uuid NOT NULL REFERENCES "Patient" ("id"),
  "praticienId" uuid NOT NULL REFERENCES "Praticien" ("id"),
  "date" date NOT NULL,
  "heure" time NOT NULL,
  "diagnostic" text,
  "traitement" text,
  "remarques" text
);
CREATE TABLE "Message" (
  "id" uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  "expediteurId" uuid REFERENCES "Utilisateur" ("id"),
  "destinataireId" uuid REFERENCES "Utilisateur" ("id"),
  "objet" text,
  "contenu" text NOT NULL,
  "lu" boolean NOT NULL DEFAULT false,
  "envoyeLe" timestamptz NOT NULL DEFAULT now()
);

INSERT INTO "Utilisateur" ("courriel", "motDePasse", "nomComplet", "profil", "estActif")
SELECT 'u' || n || '@example.test', '$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy', 'ريم ' || n,
       (ARRAY['administrateur', 'praticien', 'secretaire', 'patient'])[1 + n % 4], n % 6 <> 0 FROM generate_series(1, 24) AS n;
INSERT INTO "Patient" ("numeroDossier", "utilisateurId", "prenom", "nom", "dateNaissance", "sexe", "telephone", "courriel",
                       "adresse", "antecedents", "allergies", "mutuelle")
SELECT 'D' || 500 + n, (SELECT id FROM "Utilisateur" WHERE courriel = 'u' || n || '@example.test' AND profil = 'patient'),
       'لمى', 'الحربي ' || n, date '1955-01-01' + n * 251, (ARRAY['homme', 'femme'])[1 + n % 2], '05000000' || n,
       'q' || n || '@example.test', 'شارع ' || n, CASE WHEN n % 2 = 0 THEN 'سكري' END,
       CASE WHEN n % 3 = 0 THEN ARRAY['لاتكس', 'غبار'] END, 'تعاونية'
FROM generate_series(1, 40) AS n;
INSERT INTO "Praticien" ("utilisateurId", "prenom", "nom", "specialite", "numeroOrdre", "tarif", "telephone")
SELECT id, 'جواهر', courriel, 'جلدية', 'O-' || left(id::text, 6), 120.5, '0500' FROM "Utilisateur" WHERE profil = 'praticien';
INSERT INTO "RendezVous" ("patientId", "praticienId", "debut", "dureeMinutes", "statut", "motif")
SELECT p.id, d.id, timestamptz '2024-03-01 06:00+00' + row_number() OVER () * interval '5 hours', 30,
       (ARRAY['planifie', 'confirme', 'honore', 'annule', 'absent'])[1 + (row_number() OVER () % 5)], 'ألم'
FROM "Patient" AS p CROSS JOIN (SELECT id FROM "Praticien" ORDER BY nom LIMIT 2) AS d;
INSERT INTO "Consultation" ("rendezVousId", "patientId", "praticienId", "date", "heure", "diagnostic", "traitement", "remarques")
SELECT id, "patientId", "praticienId", debut::date, debut::time, 'تشخيص', 'خطة', 'ملاحظة' FROM "RendezVous" WHERE statut = 'honore';
INSERT INTO "Message" ("expediteurId", "destinataireId", "objet", "contenu", "lu")
SELECT a.id, b.id, 'موضوع', 'نص', false FROM "Utilisateur" AS a JOIN "Utilisateur" AS b ON a.profil = 'secretaire' AND b.profil = 'praticien';

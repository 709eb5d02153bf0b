# SQLite: tables, indices, joins, full sorts, deletes and a vacuum.
# run: needs=sqlite3 pools=64M
cat >program.sql <<'END'
PRAGMA cache_size=-8000;
CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT, price REAL, kind INTEGER);
CREATE TABLE sale(item INTEGER, day INTEGER, many INTEGER);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
  INSERT INTO item SELECT i, 'item ' || ((i * 7919) % 20011) || ' of ' || hex(i * 31), (i * 37 % 1000) / 8.0, i % 17 FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 80000)
  INSERT INTO sale SELECT (i * 104729) % 20000 + 1, i % 365, i % 9 FROM n;
CREATE INDEX by_name ON item(name);
CREATE INDEX by_item ON sale(item, day);
SELECT kind, count(*), sum(many * price), max(name) FROM item JOIN sale ON sale.item = item.id GROUP BY kind ORDER BY 3 DESC;
SELECT name FROM item ORDER BY substr(name, 7), price LIMIT 10 OFFSET 9000;
SELECT count(DISTINCT substr(name, -3)) FROM item;
SELECT day, sum(many) OVER (ORDER BY day ROWS 3 PRECEDING) FROM (SELECT day, sum(many) AS many FROM sale GROUP BY day) LIMIT 8;
UPDATE item SET name = replace(name, 'of', 'from') WHERE id % 3 = 0;
DELETE FROM sale WHERE item % 5 = 0;
SELECT length(group_concat(name, ';')) FROM item;
SELECT json_array_length(json_group_array(name)) FROM item;
VACUUM;
PRAGMA integrity_check;
SELECT count(*), sum(length(name)) FROM item WHERE name GLOB '*from*';
END
under sqlite3 file.db <program.sql
under sqlite3 :memory: <program.sql
under sqlite3 file.db .dump | sha256sum

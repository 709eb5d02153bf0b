-- An in-memory database: inserts, an index, a join, a sort and text functions.
-- `scale` is a table of one row, made before this file is read.
create table customer(id integer primary key, name text, city text);
create table sale(id integer primary key, customer integer, amount real, note text);
insert into customer
  with recursive n(i) as (select 1 union all select i + 1 from n where i < 5000)
  select i, 'customer ' || i, 'city ' || (i * 7919 % 211) from n;
insert into sale
  with recursive n(i) as (select 1 union all select i + 1 from n
                          where i < (select 160000 * factor from scale))
  select i, i * 31 % 5000 + 1, (i * 7907 % 10007) / 7.0, printf('note %08d of sale', i) from n;
create index sale_customer on sale(customer, amount);
select city, count(*), round(sum(amount), 2) from sale join customer on customer.id = customer
  group by city order by 3 desc limit 5;
select count(distinct substr(upper(note), 6, 6) || name) from sale join customer on customer.id = customer;
select count(*) from (select group_concat(note, ';') t from sale group by customer order by length(t), t);
delete from sale where id % 3 = 0;
update sale set note = note || ' revised' where id % 2 = 0;
select count(*), max(length(note)) from sale;

-- Policies for unknown outcomes that are no more, and who may send from another customer's number.

do $$
declare
    found text;
begin
    select string_agg(format('%s %s: unknown_outcome is "%s"', place, name, word), ', ') into found from (
        select 'customers' as place, system_id as name, unknown_outcome as word from customers
        union all select 'routes', id::text, unknown_outcome from routes
    ) as rows where word in ('hold', 'retry_same');
    if found is not null then
        raise exception '%; these policies are no more: update the rows to "fail", which tells the customer at once, or "retry_other", which sends another copy to another vendor, and migrate again', found;
    end if;
end $$;

alter table customers
    drop constraint customers_unknown_outcome_check,
    add constraint customers_unknown_outcome_check check (unknown_outcome in ('fail', 'retry_other')),
    add sources_of_others boolean not null default false;
comment on column customers.sources_of_others is 'Whether it may send from numbers that belong to another customer';

alter table routes
    drop constraint routes_unknown_outcome_check,
    add constraint routes_unknown_outcome_check check (unknown_outcome in ('fail', 'retry_other'));

comment on column cdr.by_receipt is 'Not written any more: a receipt told a submit whose customer waited for it';

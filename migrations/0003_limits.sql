-- Limits: what customers, vendors, source numbers, campaigns and brands may send.

alter table customers
    add bind_rate integer not null default 0 check (bind_rate between 0 and 10000000),
    add rate_when_away text not null default 'share' check (rate_when_away in ('share', 'last', 'closed', 'open')),
    add sources gateway_source[] not null default '{*}' check (gateway_is_set(sources));
comment on column customers.bind_rate is 'Messages in a second of one session; 0 = unlimited';
comment on column customers.rate_when_away is 'How rate holds while Redis is away';
comment on column customers.sources is 'Addresses that it may send from: exact, or what they begin with and a *';

alter table vendors
    add rate integer not null default 0 check (rate between 0 and 10000000),
    add burst integer check (burst between 1 and 10000000),
    add rate_when_away text not null default 'share' check (rate_when_away in ('share', 'last', 'closed', 'open'));
comment on column vendors.rate is 'Messages in a second over all binds on all nodes; 0 = unlimited';
comment on column vendors.burst is 'Messages above rate in any interval; NULL = a tenth of a second''s worth';
comment on column vendors.rate_when_away is 'How rate holds while Redis is away';

create table brands (
    name text primary key check (octet_length(name) between 1 and 64),
    tier text not null default 'low'
        check (tier in ('top', 'high_mid', 'low_mid', 'low', 'sole_proprietor', 'government')),
    daily_cap integer check (daily_cap between 0 and 1000000000),
    counts_unknown boolean not null default false
);
comment on table brands is '10DLC brands and what T-Mobile allows them in a day';
comment on column brands.name is 'Its name; one for each tax id';
comment on column brands.tier is 'T-Mobile''s tier';
comment on column brands.daily_cap is 'Segments a day instead of the tier''s; 0 = uncapped; NULL = the tier''s';
comment on column brands.counts_unknown is 'Whether messages to destinations of unknown carrier count as T-Mobile''s';

create table campaigns (
    name text primary key check (octet_length(name) between 1 and 64),
    brand text not null references brands (name) on update cascade check (octet_length(brand) <= 64),
    class text not null check (
        class in ('A', 'B', 'C', 'D', 'E', 'F', 'G', 'K', 'N', 'P', 'S', 'T', 'W', 'X', 'Y', 'Z')
    ),
    per_minute integer check (per_minute between 0 and 10000000),
    burst integer check (burst between 1 and 10000000),
    scope text check (scope in ('campaign', 'number'))
);
create index campaigns_brand on campaigns (brand);
comment on table campaigns is '10DLC campaigns and what AT&T allows them';
comment on column campaigns.name is 'Its name, such as the id of the registry';
comment on column campaigns.brand is 'Its brand';
comment on column campaigns.class is 'AT&T''s message class: its letter';
comment on column campaigns.per_minute is 'Segments a minute instead of the class''s; 0 = unlimited; NULL = the class''s';
comment on column campaigns.burst is 'Segments at once; NULL = by the rate';
comment on column campaigns.scope is 'Whose rate it is: of all numbers together, or of each; NULL = as the class says';

create table numbers (
    number gateway_number primary key,
    customer text references customers (system_id) on update cascade,
    campaign text references campaigns (name) on update cascade,
    kind text not null default 'long_code' check (kind in ('long_code', 'toll_free', 'short_code')),
    rate integer check (rate between 0 and 1000000),
    burst integer check (burst between 1 and 10000000)
);
create index numbers_customer on numbers (customer);
create index numbers_campaign on numbers (campaign);
comment on table numbers is 'Numbers that messages are sent from, and what carriers allow them';
comment on column numbers.number is 'The number';
comment on column numbers.customer is 'Whose messages from handsets to it are';
comment on column numbers.campaign is 'The 10DLC campaign that it belongs to';
comment on column numbers.kind is 'What it is; decides its rate where none is given';
comment on column numbers.rate is 'Segments a second over all networks; 0 = unlimited; NULL = by its kind';
comment on column numbers.burst is 'Segments above the rate in any interval; NULL = one second''s worth, at least 10';

create trigger brands_note_change before insert or update or delete or truncate on brands
    for each statement execute function gateway_note_change();
create trigger campaigns_note_change before insert or update or delete or truncate on campaigns
    for each statement execute function gateway_note_change();
create trigger numbers_note_change before insert or update or delete or truncate on numbers
    for each statement execute function gateway_note_change();

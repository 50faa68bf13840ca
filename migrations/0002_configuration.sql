-- The configuration, where `[source] kind = "postgres"`: the sections of the file that name customers, vendors and routes,
-- one table each. A column has the name of its setting, its range and its default; NULL means left out. What the
-- database cannot see (a password file that is not there, two routes that contradict each other) the gateway checks
-- before it takes a version; see docs/operators-guide.md.

create domain gateway_duration as text
    constraint gateway_duration_form check (value ~ '^([0-9]{1,18}(ns|us|ms|s|m|h|d))+$');
comment on domain gateway_duration is 'A duration as the settings write it: 500ms, 5s, 1h30m';

create domain gateway_number as text
    constraint gateway_number_form check (value ~ '^\+?[0-9]{1,20}$');
comment on domain gateway_number is 'A number in digits; a leading + is skipped';

create domain gateway_source as text
    constraint gateway_source_form check (octet_length(value) between 1 and 21);
comment on domain gateway_source is 'The beginning of a source address';

create domain gateway_host as text
    constraint gateway_host_form
        check (octet_length(value) <= 260 and value ~ '^[A-Za-z0-9._:\[\]-]+:[0-9]{1,5}$' and value !~ ':0+$');
comment on domain gateway_host is 'host:port';

create function gateway_nanoseconds(duration text) returns numeric
    language sql immutable strict parallel safe
    return (
        select sum(part[1]::numeric * case part[2]
            when 'ns' then 1
            when 'us' then 1000
            when 'ms' then 1000000
            when 's' then 1000000000
            when 'm' then 60000000000
            when 'h' then 3600000000000
            when 'd' then 86400000000000
        end)
        from regexp_matches(duration, '([0-9]+)(ns|us|ms|s|m|h|d)', 'g') as part
    );
comment on function gateway_nanoseconds is 'The length of a duration, so that bounds can be checked';

create function gateway_lies_within(duration text, shortest text, longest text) returns boolean
    language sql immutable strict parallel safe
    return gateway_nanoseconds(duration) between gateway_nanoseconds(shortest) and gateway_nanoseconds(longest);
comment on function gateway_lies_within is 'Whether a duration lies within bounds, both included';

create function gateway_is_set(list anyarray) returns boolean
    language sql immutable strict parallel safe
    as 'select count(*) = count(distinct member) from unnest(list) as member';
comment on function gateway_is_set is 'Whether each member of a list is there, and once';

create table config_versions (
    version bigint generated always as identity primary key,
    at timestamptz not null default now(),
    author text not null,
    comment text,
    transaction xid8 not null default pg_current_xact_id(),
    unique (transaction, at)
);
comment on table config_versions is 'One row for each transaction that changed the configuration; the newest is the one in force';
comment on column config_versions.version is 'Grows in the order in which changes were committed';
comment on column config_versions.at is 'When its transaction began';
comment on column config_versions.author is 'gateway.author of the session where it is set, else its user';
comment on column config_versions.comment is 'gateway.comment of the session';
comment on column config_versions.transaction is 'So that one transaction is one version';

create table customers (
    system_id text primary key check (octet_length(system_id) between 1 and 15),
    enabled boolean not null default true,
    networks inet[] check (gateway_is_set(networks)),
    password_hash text not null check (password_hash like '$argon2id$%' and octet_length(password_hash) <= 512),
    bind_kinds text[] not null default '{transmitter,receiver,transceiver}' check (
        bind_kinds <@ '{transmitter,receiver,transceiver}' and cardinality(bind_kinds) > 0 and gateway_is_set(bind_kinds)
    ),
    binds_max integer not null default 16 check (binds_max between 1 and 100000),
    "window" integer not null default 100 check ("window" between 1 and 10000),
    rate integer not null default 0 check (rate between 0 and 10000000),
    burst integer check (burst between 1 and 10000000),
    mode text not null default 'relay' check (mode in ('relay', 'store_and_forward')),
    unknown_outcome text check (unknown_outcome in ('fail', 'retry_other', 'retry_same', 'hold')),
    deduplicate text not null default 'off' check (deduplicate in ('off', 'tlv', 'content')),
    deduplicate_window gateway_duration not null default '60s' check (gateway_lies_within(deduplicate_window, '1s', '1h')),
    deduplicate_tlv integer check (deduplicate_tlv between 1 and 65535),
    numbers gateway_number[] check (gateway_is_set(numbers)),
    reassemble boolean not null default false,
    constraint customers_deduplicate_by_tlv check ((deduplicate = 'tlv') = (deduplicate_tlv is not null))
);
comment on table customers is 'Who binds to us, and with which rights';
comment on column customers.system_id is 'What the customer binds with; its name in metrics and routes';
comment on column customers.enabled is 'Whether it may bind; switched off, its sessions are ended in order';
comment on column customers.networks is 'Networks that it may bind from; NULL = from anywhere';
comment on column customers.password_hash is 'Argon2id hash in PHC form; passwords themselves are not kept here';
comment on column customers.bind_kinds is 'Which binds it may use';
comment on column customers.binds_max is 'Sessions at the same time; one more is refused';
comment on column customers."window" is 'Unanswered requests of one session, each way; one more is throttled';
comment on column customers.rate is 'Messages in a second over all its binds; 0 = unlimited';
comment on column customers.burst is 'Messages at once after a silence, above the rate; NULL = one second''s worth';
comment on column customers.mode is 'When its messages are acknowledged: with the vendor''s verdict, or once they are on disk';
comment on column customers.unknown_outcome is 'What happens when nobody knows whether a vendor has a message; NULL = fail, or retry_other in store_and_forward';
comment on column customers.deduplicate is 'How a message that the customer submits again is recognised';
comment on column customers.deduplicate_window is 'How long after its submit an accepted message is recognised';
comment on column customers.deduplicate_tlv is 'Tag of the TLV that names a message, for deduplicate = tlv';
comment on column customers.numbers is 'Messages from handsets to these numbers belong to this customer, unless a keyword of mo_routes says otherwise';
comment on column customers.reassemble is 'Messages from handsets that come in parts are delivered as one';

create table error_maps (
    name text primary key check (octet_length(name) between 1 and 64)
);
comment on table error_maps is 'What the statuses of a vendor mean here, where that is not what they mean everywhere';
comment on column error_maps.name is 'Its name; vendors name it by error_map';

create table error_map_statuses (
    id bigint generated by default as identity primary key,
    error_map text not null references error_maps (name) on update cascade on delete cascade,
    status text not null check (octet_length(status) <= 32),
    "to" text check (octet_length("to") <= 32),
    action text check (action in ('permanent', 'next_vendor', 'pause')),
    unique (error_map, status),
    constraint error_map_statuses_say_something check ("to" is not null or action is not null)
);
comment on table error_map_statuses is 'The statuses of each error map; a map without one is a mistake';
comment on column error_map_statuses.id is 'Their order';
comment on column error_map_statuses.error_map is 'The map';
comment on column error_map_statuses.status is 'The vendor''s command_status: a name such as ESME_RSYSERR, or a number such as 0x400 or 1024';
comment on column error_map_statuses."to" is 'What the customer is told instead; NULL = the vendor''s status';
comment on column error_map_statuses.action is 'Whether the message is refused, goes to the next vendor, or the vendor pauses, too; NULL = as for every vendor';

create table vendors (
    name text primary key check (octet_length(name) between 1 and 64),
    enabled boolean not null default true,
    addresses gateway_host[] not null check (cardinality(addresses) > 0 and array_position(addresses, null) is null),
    tls boolean not null default false,
    tls_name text check (octet_length(tls_name) <= 253),
    tls_ca_file text check (octet_length(tls_ca_file) <= 4096),
    system_id text not null check (octet_length(system_id) <= 15),
    password_file text check (octet_length(password_file) <= 4096),
    system_type text not null default '' check (octet_length(system_type) <= 12),
    bind_kind text not null default 'transceiver' check (bind_kind in ('transmitter', 'receiver', 'transceiver')),
    binds integer not null default 1 check (binds between 1 and 1000),
    binds_total integer check (binds_total between 1 and 1000),
    "window" integer not null default 100 check ("window" between 1 and 10000),
    rate_per_bind integer not null default 0 check (rate_per_bind between 0 and 1000000),
    encodings text[] not null default '{gsm7,latin1,ucs2,binary}' check (
        encodings <@ '{gsm7,latin1,ucs2,binary}' and cardinality(encodings) > 0 and gateway_is_set(encodings)
    ),
    error_map text references error_maps (name) on update cascade check (octet_length(error_map) <= 64),
    dialect jsonb check (jsonb_typeof(dialect) in ('string', 'object')),
    id_rule text not null default 'raw'
        check (id_rule in ('raw', 'hex_to_decimal', 'decimal_to_hex', 'case_fold', 'strip_zeros')),
    response_timeout gateway_duration not null default '10s' check (gateway_lies_within(response_timeout, '100ms', '5m')),
    bind_timeout gateway_duration not null default '5s' check (gateway_lies_within(bind_timeout, '100ms', '5m')),
    enquire_link gateway_duration not null default '30s' check (gateway_lies_within(enquire_link, '0s', '1h')),
    throttle_pause gateway_duration not null default '1s' check (gateway_lies_within(throttle_pause, '0s', '1m')),
    reconnect_first gateway_duration not null default '500ms' check (gateway_lies_within(reconnect_first, '10ms', '5m')),
    reconnect_max gateway_duration not null default '30s' check (gateway_lies_within(reconnect_max, '1s', '1h')),
    constraint vendors_tls_settings check (tls or (tls_name is null and tls_ca_file is null)),
    constraint vendors_reconnect check (gateway_nanoseconds(reconnect_first) <= gateway_nanoseconds(reconnect_max))
);
create index vendors_error_map on vendors (error_map);
comment on table vendors is 'Whom we bind to, and how';
comment on column vendors.name is 'Its name in routes, metrics and logs; renaming one loses the correlations of its open messages';
comment on column vendors.enabled is 'Whether we bind to it; switched off, routes go past it';
comment on column vendors.addresses is 'Where it is, host:port each, tried in this order';
comment on column vendors.tls is 'Whether links are encrypted, with TLS 1.2 or 1.3';
comment on column vendors.tls_name is 'Name that the vendor''s certificate must be for; NULL = the host of addresses';
comment on column vendors.tls_ca_file is 'File on each node with the authorities'' certificates that are trusted; NULL = the public ones';
comment on column vendors.system_id is 'Who we are there';
comment on column vendors.password_file is 'File on each node that holds the password; NULL = the environment has it, GATEWAY__VENDOR__name__PASSWORD';
comment on column vendors.system_type is 'Asked for by some';
comment on column vendors.bind_kind is 'What we bind as';
comment on column vendors.binds is 'Binds of each node, spread over its shards';
comment on column vendors.binds_total is 'Binds of all nodes together, leased from Redis; NULL = binds counts for each node';
comment on column vendors."window" is 'Unanswered requests of one bind';
comment on column vendors.rate_per_bind is 'Messages in a second and bind; 0 = unlimited';
comment on column vendors.encodings is 'What it takes, by data_coding; messages of others are not tried there';
comment on column vendors.error_map is 'What its statuses mean; NULL = what SMPP says';
comment on column vendors.dialect is 'How it deviates from the standard: "default", "strict", "tolerant", a preset file, or an object of tolerances';
comment on column vendors.id_rule is 'How its receipts write the message ids that its answers gave';
comment on column vendors.response_timeout is 'A message without an answer after this time has an unknown outcome';
comment on column vendors.bind_timeout is 'From connect to a complete bind';
comment on column vendors.enquire_link is 'Silence after which enquire_link is sent; 0s = never';
comment on column vendors.throttle_pause is 'Pause after ESME_RTHROTTLED';
comment on column vendors.reconnect_first is 'Pause before the first new try to connect; doubles with every failure';
comment on column vendors.reconnect_max is 'Longest pause between two tries';

create table routes (
    id bigint generated by default as identity primary key,
    prefix text not null check (prefix ~ '^\+?[0-9]{0,20}$'),
    customer text references customers (system_id) on update cascade,
    network text check (network ~ '^[0-9]{3}([0-9]{2,3})?$'),
    sources gateway_source[] check (cardinality(sources) > 0 and gateway_is_set(sources)),
    campaign text check (octet_length(campaign) <= 64),
    encodings text[] check (
        encodings <@ '{gsm7,latin1,ucs2,binary}' and cardinality(encodings) > 0 and gateway_is_set(encodings)
    ),
    hours text check (octet_length(hours) <= 64),
    priority integer not null default 10 check (priority between 0 and 1000000),
    unknown_outcome text check (unknown_outcome in ('fail', 'retry_other', 'retry_same', 'hold')),
    cheapest boolean not null default false,
    rewrite_source text check (octet_length(rewrite_source) between 1 and 20),
    rewrite_source_ton integer check (rewrite_source_ton between 0 and 255),
    rewrite_source_npi integer check (rewrite_source_npi between 0 and 255),
    destination_strip text not null default '' check (destination_strip ~ '^\+?[0-9]*$' and octet_length(destination_strip) <= 20),
    destination_add text not null default '' check (destination_add ~ '^\+?[0-9]*$' and octet_length(destination_add) <= 20),
    constraint routes_rewrite_source check (
        rewrite_source is not null or (rewrite_source_ton is null and rewrite_source_npi is null)
    )
);
create index routes_customer on routes (customer);
comment on table routes is 'Which vendors take which messages; the vendors of a route are in route_vendors';
comment on column routes.id is 'How reports name the route';
comment on column routes.prefix is 'Digits that the destination begins with; empty = all';
comment on column routes.customer is 'Only for this customer; such a route wins over a general one of the same prefix';
comment on column routes.network is 'Only for destinations of this network: country and network code, or a country''s alone; NULL = all';
comment on column routes.sources is 'Only for source addresses that begin with one of these; NULL = all';
comment on column routes.campaign is 'Only for sources of this campaign; NULL = all';
comment on column routes.encodings is 'Only for texts of these encodings; NULL = all';
comment on column routes.hours is 'Only for messages that arrive then, such as Mon-Fri 08:00-20:00 -05:00; NULL = always';
comment on column routes.priority is 'Lower is tried first';
comment on column routes.unknown_outcome is 'As for customers; wins over the customer''s; NULL = the customer''s';

comment on column routes.cheapest is 'Within its priority the vendor with the lowest price comes first; each needs a price';
comment on column routes.rewrite_source is 'Stands in for the source address on the way to the vendor';
comment on column routes.rewrite_source_ton is 'Its type of number; NULL = by its form';
comment on column routes.rewrite_source_npi is 'Its numbering plan; NULL = by its form';
comment on column routes.destination_strip is 'Digits taken from the beginning of the destination on the way to the vendor';
comment on column routes.destination_add is 'Digits put before what is left of the destination';

create table route_vendors (
    id bigint generated by default as identity primary key,
    route bigint not null references routes (id) on delete cascade,
    vendor text not null references vendors (name) on update cascade,
    weight integer not null default 1 check (weight between 1 and 1000000),
    price text check (octet_length(price) <= 20 and price ~ '^[0-9]+([.][0-9]{1,6})?$'),
    unique (route, vendor)
);
create index route_vendors_vendor on route_vendors (vendor);
comment on table route_vendors is 'The vendors of each route; a route without one is a mistake';
comment on column route_vendors.id is 'Their order where weights leave it open';
comment on column route_vendors.route is 'The route';
comment on column route_vendors.vendor is 'Who takes its messages';
comment on column route_vendors.weight is 'Its share among the route''s vendors';
comment on column route_vendors.price is 'What a message costs there, with up to six digits behind the point; for routes with cheapest';

create table mo_routes (
    id bigint generated by default as identity primary key,
    number gateway_number not null,
    keywords text[] not null check (cardinality(keywords) > 0 and gateway_is_set(keywords)),
    customer text not null references customers (system_id) on update cascade
);
create index mo_routes_customer on mo_routes (customer);
comment on table mo_routes is 'Which customer gets a message from a handset, by its first word, where customers share a number';
comment on column mo_routes.id is 'How reports name the row';
comment on column mo_routes.number is 'The number written to';
comment on column mo_routes.keywords is 'First words of the text, 1 to 20 characters each; the case of ASCII letters does not matter';
comment on column mo_routes.customer is 'Whose the messages are';

create table networks (
    prefix gateway_number primary key,
    mcc text not null check (mcc ~ '^[0-9]{3}$'),
    mnc text not null default '' check (mnc ~ '^([0-9]{2,3})?$'),
    carrier text not null default '' check (octet_length(carrier) <= 32)
);
comment on table networks is 'Which mobile network a destination belongs to; the longest prefix wins';
comment on column networks.prefix is 'Digits that the destination begins with';
comment on column networks.mcc is 'Mobile country code';
comment on column networks.mnc is 'Code of the network within the country; empty = the country alone is known';
comment on column networks.carrier is 'The carrier''s name, as limits and reports name it';

-- Writers wait for each other from their first change to their commit, so that versions grow in the order of commits: a
-- reader who has seen a version has seen all before it. BEFORE, so that this wait comes before any row is locked. The
-- rights of the owner are used, so that whoever may change a row need not be given this table.
create function gateway_note_change() returns trigger
    language plpgsql security definer set search_path from current
as $$
declare
    noted bigint;
begin
    lock table config_versions in exclusive mode;
    if exists (select from config_versions where transaction = pg_current_xact_id() and at = now()) then
        return null;
    end if;
    insert into config_versions (author, comment)
        values (
            coalesce(nullif(current_setting('gateway.author', true), ''), session_user),
            nullif(current_setting('gateway.comment', true), '')
        )
        returning version into noted;
    perform pg_notify('gateway_config', noted::text);
    return null;
end
$$;
comment on function gateway_note_change is 'Gives each transaction that changes the configuration a version, and says so on the channel gateway_config';

create trigger customers_note_change before insert or update or delete or truncate on customers
    for each statement execute function gateway_note_change();
create trigger error_maps_note_change before insert or update or delete or truncate on error_maps
    for each statement execute function gateway_note_change();
create trigger error_map_statuses_note_change before insert or update or delete or truncate on error_map_statuses
    for each statement execute function gateway_note_change();
create trigger vendors_note_change before insert or update or delete or truncate on vendors
    for each statement execute function gateway_note_change();
create trigger routes_note_change before insert or update or delete or truncate on routes
    for each statement execute function gateway_note_change();
create trigger route_vendors_note_change before insert or update or delete or truncate on route_vendors
    for each statement execute function gateway_note_change();
create trigger mo_routes_note_change before insert or update or delete or truncate on mo_routes
    for each statement execute function gateway_note_change();
create trigger networks_note_change before insert or update or delete or truncate on networks
    for each statement execute function gateway_note_change();

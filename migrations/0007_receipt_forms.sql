-- Vendors that mark no receipt.

alter table vendors
    add receipts_unmarked boolean not null default false;
comment on column vendors.receipts_unmarked is 'It sends receipts with esm_class 0 and no TLV; they are told by their text';

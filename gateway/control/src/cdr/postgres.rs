//! The PostgreSQL sink: batches by COPY into a table with a partition for each day. A batch goes straight into the table;
//! when its outcome is not known (the connection was lost), it goes through a temporary table, from which only those
//! rows are taken that are not there yet.

use super::Names;
use super::line::Line;
use super::scan::{Found, LINES_MAX, Span, Wanted};
use crate::schema::{self, whole};
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::SinkExt;
use jiff::civil::Date;
use jiff::{Timestamp, ToSpan, tz::TimeZone};
use relay::Record;
use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio_postgres::{Client, NoTls};

/// Longest time for a connection, and for a batch: a server that is slower than that is taken for gone.
const CONNECT_MAX: Duration = Duration::from_secs(5);
const WRITE_MAX: Duration = Duration::from_secs(60);
/// Longest time for a look into the table.
const FIND_MAX: Duration = Duration::from_secs(10);
/// Days for which partitions are made ahead, today among them.
const DAYS_AHEAD: i64 = 3;
/// How often partitions are looked after.
const PARTITIONS_EVERY: Duration = Duration::from_secs(600);

/// The columns in the order of [`row`].
const COLUMNS: &str = "version, kind, at, node, shard, number, gateway_id, customer, vendor, vendors, vendor_id, source, \
    source_ton, destination, destination_ton, reference, sequence, command, data_coding, esm_class, part_reference, \
    part_total, part_number, state, refusal, customer_status, vendor_status, copies, possible_duplicate, \
    tries, routed_us, sent_us, acknowledged_us, ended_us, receipt_state, receipt_error, receipt_final, outcome, was_parked";

/// Which database, and for how long.
#[derive(Clone)]
pub struct PostgresOptions {
    /// The connection string; it holds a password and is never shown.
    pub url: String,
    /// Partitions of days that are longer ago are dropped; none are where it is absent.
    pub keep_days: Option<u32>,
}

impl fmt::Debug for PostgresOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresOptions").field("keep_days", &self.keep_days).finish_non_exhaustive()
    }
}

pub(super) struct PostgresSink {
    options: PostgresOptions,
    names: Arc<Names>,
    runtime: Runtime,
    client: Option<Client>,
    /// Days whose partition is known to be there.
    days: BTreeSet<Date>,
    looked_after: Option<Instant>,
    /// The last try of the batch at hand may have been carried out.
    in_doubt: bool,
}

impl PostgresSink {
    /// Checks the schema, if the server can be reached.
    pub(super) fn open(options: PostgresOptions, names: Arc<Names>) -> Result<PostgresSink, String> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        let mut sink = PostgresSink {
            options,
            names,
            runtime,
            client: None,
            days: BTreeSet::new(),
            looked_after: None,
            in_doubt: false,
        };
        match sink.connect() {
            Ok(()) | Err(Trouble::Away(_)) => {}
            Err(Trouble::Schema(what)) => return Err(format!("PostgreSQL: {what}")),
        }
        if sink.client.is_none() {
            tracing::warn!("PostgreSQL cannot be reached: records wait for it");
        }
        Ok(sink)
    }

    pub(super) fn write(&mut self, batch: &[Record]) -> Result<(), String> {
        let lines: Vec<Line> = batch.iter().map(|record| Line::of(record, &self.names)).collect();
        let days: BTreeSet<Date> = batch.iter().map(|record| day_of(record.at)).collect();
        let mut text = BytesMut::with_capacity(lines.len() * 256);
        lines.iter().for_each(|line| row(line, &mut text));
        let done = self.write_text(text.freeze(), &days);
        match done {
            Ok(()) => self.in_doubt = false,
            Err(_) => {
                self.in_doubt = true;
                self.client = None;
                self.days.clear();
            }
        }
        done
    }

    fn write_text(&mut self, text: Bytes, days: &BTreeSet<Date>) -> Result<(), String> {
        if self.client.is_none() {
            self.connect().map_err(|trouble| trouble.to_string())?;
        }
        let missing: Vec<Date> = days.difference(&self.days).copied().collect();
        let in_doubt = self.in_doubt;
        let Some(client) = &mut self.client else { return Err("no connection".into()) };
        let work = async {
            make_partitions(client, &missing).await?;
            if in_doubt { copy_once(client, text).await } else { copy(client, "cdr", text).await }
        };
        run(&self.runtime, WRITE_MAX, work)?;
        self.days.extend(missing);
        Ok(())
    }

    /// Makes the partitions of the next days, and drops those of long ago.
    pub(super) fn look_after(&mut self) -> Result<(), String> {
        if self.looked_after.is_some_and(|at| at.elapsed() < PARTITIONS_EVERY) {
            return Ok(());
        }
        if self.client.is_none() {
            return Ok(()); // the next batch connects; until then there is nothing to look after
        }
        let today = day_of(std::time::UNIX_EPOCH.elapsed().unwrap_or_default());
        let ahead: Vec<Date> = (0..DAYS_AHEAD).map(|days| today.saturating_add(days.days())).collect();
        let keep_days = self.options.keep_days;
        let Some(client) = &mut self.client else { return Ok(()) };
        let work = async {
            make_partitions(client, &ahead).await?;
            match keep_days {
                Some(days) => drop_partitions(client, today.saturating_sub(i64::from(days).days())).await,
                None => Ok(()),
            }
        };
        run(&self.runtime, WRITE_MAX, work)?;
        self.days.extend(ahead);
        self.looked_after = Some(Instant::now());
        Ok(())
    }

    fn connect(&mut self) -> Result<(), Trouble> {
        let url = self.options.url.clone();
        let connected = run(&self.runtime, CONNECT_MAX, connect(&url)).map_err(Trouble::Away)?;
        // What asks the server may fail for its sake, too: only what it says about the schema is the schema's.
        let checked = run_checked(&self.runtime, schema::check(&connected, "cdr")).map_err(Trouble::Away)?;
        match checked {
            Ok(()) => {
                self.client = Some(connected);
                self.looked_after = None;
                Ok(())
            }
            Err(trouble) if connected.is_closed() => Err(Trouble::Away(trouble.to_string())),
            Err(trouble) => Err(Trouble::Schema(trouble.to_string())),
        }
    }
}

/// Why there is no connection that can be used.
enum Trouble {
    /// The server cannot be reached.
    Away(String),
    /// It has not the table that we know.
    Schema(String),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Away(what) | Trouble::Schema(what) => f.write_str(what),
        }
    }
}

fn run<T>(
    runtime: &Runtime,
    longest: Duration,
    work: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, String> {
    let work = async { tokio::time::timeout(longest, work).await };
    match runtime.block_on(work) {
        Ok(done) => done.map_err(|error| whole(&error)),
        Err(_) => Err(format!("PostgreSQL took longer than {longest:?}")),
    }
}

/// The outer error: there was no answer in time.
fn run_checked<T>(runtime: &Runtime, work: impl Future<Output = T>) -> Result<T, String> {
    let work = async { tokio::time::timeout(CONNECT_MAX, work).await };
    runtime.block_on(work).map_err(|_| "PostgreSQL does not answer".into())
}

async fn connect(url: &str) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    // Ends with the client; errors come out of the client's own calls.
    tokio::spawn(async move { drop(connection.await) });
    Ok(client)
}

/// Puts rows into a table.
async fn copy(client: &Client, table: &str, text: Bytes) -> Result<(), tokio_postgres::Error> {
    let mut sink = pin!(client.copy_in::<_, Bytes>(&format!("copy {table} ({COLUMNS}) from stdin")).await?);
    sink.send(text).await?;
    sink.as_mut().finish().await.map(drop)
}

/// Puts those rows into the table that are not there yet.
async fn copy_once(client: &mut Client, text: Bytes) -> Result<(), tokio_postgres::Error> {
    let transaction = client.transaction().await?;
    transaction
        .batch_execute("create temporary table cdr_again (like cdr including defaults) on commit drop")
        .await?;
    {
        let statement = format!("copy cdr_again ({COLUMNS}) from stdin");
        let mut sink = pin!(transaction.copy_in::<_, Bytes>(&statement).await?);
        sink.send(text).await?;
        sink.as_mut().finish().await?;
    }
    let take = format!("insert into cdr ({COLUMNS}) select {COLUMNS} from cdr_again on conflict do nothing");
    transaction.execute(&take, &[]).await?;
    transaction.commit().await
}

fn partition(day: Date) -> String {
    format!("cdr_{}", day.strftime("%Y%m%d"))
}

async fn make_partitions(client: &Client, days: &[Date]) -> Result<(), tokio_postgres::Error> {
    for day in days {
        let next = day.saturating_add(1.day());
        let name = partition(*day);
        // Names and days are ours. Two nodes may make one partition at once: one of them fails and tries again.
        let statement = format!(
            "create table if not exists {name} partition of cdr \
             for values from ('{day} 00:00:00+00') to ('{next} 00:00:00+00')"
        );
        client.batch_execute(&statement).await?;
    }
    Ok(())
}

async fn drop_partitions(client: &Client, before: Date) -> Result<(), tokio_postgres::Error> {
    let children = "select inhrelid::regclass::text from pg_inherits where inhparent = 'cdr'::regclass";
    let first_kept = partition(before);
    for row in client.query(children, &[]).await? {
        let name: String = row.get(0);
        // Names of one length: their order is the days'.
        if name.len() == first_kept.len() && name < first_kept {
            tracing::info!(partition = name, "a day of records is older than it shall be kept");
            client.batch_execute(&format!("drop table if exists {name}")).await?;
        }
    }
    Ok(())
}

fn day_of(at: Duration) -> Date {
    let at = Timestamp::from_second(at.as_secs() as i64).unwrap_or_default();
    at.to_zoned(TimeZone::UTC).date()
}

/// One row in COPY's text form.
fn row(line: &Line, out: &mut BytesMut) {
    let mut row = Row { out, is_first: true };
    row.number(Some(line.version));
    row.text(Some(&line.kind));
    row.text(Some(&line.at));
    row.number(Some(line.node));
    row.number(Some(line.shard));
    row.number(Some(line.number));
    row.text(line.gateway_id.as_deref());
    row.text(line.customer.as_deref());
    row.text(line.vendor.as_deref());
    row.text(line.vendors.as_deref());
    row.text(line.vendor_id.as_deref());
    row.text(line.source.as_deref());
    row.number(line.source_ton);
    row.text(line.destination.as_deref());
    row.number(line.destination_ton);
    row.number(line.reference);
    row.number(line.sequence);
    row.text(line.command.as_deref());
    row.number(line.data_coding);
    row.number(line.esm_class);
    row.number(line.part_reference);
    row.number(line.part_total);
    row.number(line.part_number);
    row.text(line.state.as_deref());
    row.text(line.refusal.as_deref());
    row.number(line.customer_status);
    row.number(line.vendor_status);
    row.number(line.copies);
    row.number(line.possible_duplicate);
    row.number(line.tries);
    row.number(line.routed_us);
    row.number(line.sent_us);
    row.number(line.acknowledged_us);
    row.number(Some(line.ended_us));
    row.text(line.receipt_state.as_deref());
    row.number(line.receipt_error);
    row.number(line.receipt_final);
    row.text(line.outcome.as_deref());
    row.number(line.was_parked);
    out.put_u8(b'\n');
}

struct Row<'a> {
    out: &'a mut BytesMut,
    is_first: bool,
}

impl Row<'_> {
    fn begin(&mut self) {
        if !std::mem::take(&mut self.is_first) {
            self.out.put_u8(b'\t');
        }
    }

    fn text(&mut self, text: Option<&str>) {
        self.begin();
        let Some(text) = text else { return self.out.put_slice(b"\\N") };
        for octet in text.bytes() {
            match octet {
                b'\\' => self.out.put_slice(b"\\\\"),
                b'\t' => self.out.put_slice(b"\\t"),
                b'\n' => self.out.put_slice(b"\\n"),
                b'\r' => self.out.put_slice(b"\\r"),
                octet => self.out.put_u8(octet),
            }
        }
    }

    fn number(&mut self, number: Option<impl fmt::Display>) {
        self.begin();
        match number {
            Some(number) => self.out.put_slice(number.to_string().as_bytes()),
            None => self.out.put_slice(b"\\N"),
        }
    }
}

/// Looks into the table, with a connection of its own: questions are rare.
pub(super) async fn find(options: &PostgresOptions, wanted: &Wanted, span: Span) -> Result<Found, String> {
    let work = async {
        let client = connect(&options.url).await?;
        find_lines(&client, wanted, span).await
    };
    let found = tokio::time::timeout(FIND_MAX, work).await;
    found.map_err(|_| "PostgreSQL does not answer".to_string())?.map_err(|error| whole(&error))
}

async fn find_lines(client: &Client, wanted: &Wanted, span: Span) -> Result<Found, tokio_postgres::Error> {
    const LATEST: u64 = 4_102_444_800; // 2100, far enough, and a time that PostgreSQL knows
    let (from, to) = (span.from.min(LATEST) as f64, span.to.min(LATEST) as f64);
    let columns = COLUMNS
        .replace(" at,", " to_char(at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') as at,");
    let (gateway_id, vendor, ids, customer, reference, destination) = (
        wanted.gateway_id.clone(),
        wanted.vendor.as_ref().map(|(vendor, _)| vendor.clone()),
        wanted.vendor.as_ref().map(|(_, ids)| ids.clone()),
        wanted.customer.as_ref().map(|(customer, ..)| customer.clone()),
        wanted.customer.as_ref().map(|(_, reference, _)| i64::from(*reference)),
        wanted.customer.as_ref().map(|(.., destination)| destination.clone()),
    );
    let condition = match (&gateway_id, &vendor) {
        (Some(_), _) => "gateway_id = $3",
        (None, Some(_)) => {
            "(vendor = $4 and vendor_id = any($5) or gateway_id in (select gateway_id from cdr where vendor = $4 and vendor_id = any($5)))"
        }
        (None, None) => {
            "(gateway_id in (select gateway_id from cdr where customer = $6 and reference = $7 and destination = $8))"
        }
    };
    // Every parameter is named once, so that its type is known whichever is used.
    let statement = format!(
        "select json_strip_nulls(row_to_json(found))::text from (select {columns} from cdr \
         where at >= to_timestamp($1) and at <= to_timestamp($2) and {condition} \
         and ($3::text is null or true) and ($4::text is null or true) and ($5::text[] is null or true) \
         and ($6::text is null or true) and ($7::bigint is null or true) and ($8::text is null or true) \
         order by at, number limit {LINES_MAX}) found"
    );
    let rows = client
        .query(&statement, &[&from, &to, &gateway_id, &vendor, &ids, &customer, &reference, &destination])
        .await?;
    let lines = rows.iter().filter_map(|row| serde_json::from_str(row.get::<_, &str>(0)).ok()).collect();
    Ok(Found { lines, is_cut: rows.len() >= LINES_MAX })
}

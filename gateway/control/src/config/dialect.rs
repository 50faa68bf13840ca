//! `dialect` of a `[[customer]]` or `[[vendor]]`: what is taken from a peer although the standard does not allow it.

use super::reader::Section;
use super::setting::Kind;
use smpp::dialect::Dialect;
use std::path::Path;
use toml::de::{DeTable, DeValue};

/// What the setting may be.
pub(super) const DIALECT: Kind = Kind::Own(
    "`\"default\"`, `\"strict\"`, `\"tolerant\"`, a table of tolerances, or the path of a preset file of them",
);

/// The dialect of a customer or vendor; every tolerance that harms no standard peer where none is given.
pub(super) fn dialect(section: &Section<'_>, directory: &Path) -> Dialect {
    let Some(value) = section.own("dialect") else { return Dialect::tolerant() };
    match value.get_ref() {
        DeValue::String(name) if name == "default" || name == "tolerant" => Dialect::tolerant(),
        DeValue::String(name) if name == "strict" => Dialect::strict(),
        DeValue::String(name) => preset(section, &directory.join(name.as_ref())),
        DeValue::Table(table) => fields(section, table, None),
        _ => {
            let remedy = "write \"default\", \"strict\", \"tolerant\", a table or the path of a preset file";
            section.mistake("dialect", "dialect is neither a name nor a table", remedy);
            Dialect::strict()
        }
    }
}

/// A preset file holds tolerances as `name = true`, and nothing else.
fn preset(section: &Section<'_>, path: &Path) -> Dialect {
    let text = std::fs::read_to_string(path)
        .or_else(|error| std::fs::read_to_string(path.with_extension("toml")).map_err(|_| error));
    let text = match text {
        Ok(text) => text,
        Err(error) => {
            let what = format!("dialect file {} cannot be read: {error}", path.display());
            section.mistake(
                "dialect",
                &what,
                "write \"default\", \"strict\", \"tolerant\" or the path of a preset file",
            );
            return Dialect::strict();
        }
    };
    match DeTable::parse(&text) {
        Ok(table) => fields(section, table.get_ref(), Some(path)),
        Err(error) => {
            let what = format!("dialect file {} is no TOML: {}", path.display(), error.message());
            section.mistake("dialect", &what, "write lines such as tlv_cut = true");
            Dialect::strict()
        }
    }
}

fn fields(section: &Section<'_>, table: &DeTable<'_>, file: Option<&Path>) -> Dialect {
    let mut dialect = Dialect::strict();
    let within = file.map(|path| format!(" in {}", path.display())).unwrap_or_default();
    for (key, value) in table.iter() {
        // Spans of a preset file count in that file: the mistake is then placed at the vendor's setting.
        let place =
            |offset| if file.is_some() { section.place_of("dialect") } else { section.place_at(offset) };
        match (dialect.field_mut(key.get_ref()), value.get_ref().as_bool()) {
            (Some(field), Some(flag)) => *field = flag,
            (Some(_), None) => {
                let what = format!("dialect field {}{within} is no flag", key.get_ref());
                section.mistake_at(&place(value.span().start), &what, "write true or false");
            }
            (None, _) => {
                let what = format!("unknown dialect field \"{}\"{within}", key.get_ref());
                let remedy = super::reader::remedy_for_unknown(key.get_ref(), Dialect::NAMES.iter().copied());
                section.mistake_at(&place(key.span().start), &what, &remedy);
            }
        }
    }
    dialect
}

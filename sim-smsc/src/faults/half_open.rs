use crate::scenario::Section;

/// Connections stay open, but nothing is read or written, no FIN, no RST; new ones are accepted and left alone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HalfOpen {
    /// What becomes of the connections when it ends.
    pub on_heal: OnHeal,
}

/// What becomes of half-open connections in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OnHeal {
    /// They are reset, as by a host that comes back without memory of them; what lay unread in them is not
    /// processed.
    #[default]
    Reset,
    /// They go on, as after a cut in the network.
    Resume,
}

impl HalfOpen {
    pub(crate) fn read(section: &mut Section<'_>) -> HalfOpen {
        let on_heal = section.choice("then", &[("reset", OnHeal::Reset), ("resume", OnHeal::Resume)]);
        HalfOpen { on_heal: on_heal.unwrap_or_default() }
    }
}

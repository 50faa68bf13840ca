//! What was read on a link: decrypted where it is encrypted, cut into PDUs, handed to the session and the program.

use crate::app::{App, CloseReason, LinkId};
use crate::links::Links;
use crate::tls::{Received, TlsFailure};
use smpp::session::Event;
use smpp::wire::{Deframer, FrameError};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Hands octets of a link to its session and the events to the program.
pub(crate) fn feed<A: App>(app: &mut A, links: &mut Links<A::Token>, id: LinkId, octets: &[u8]) {
    links.counters.reads += 1;
    links.counters.octets_in += octets.len() as u64;
    match links.entry(id) {
        None => {}
        Some(entry) if entry.tls.is_some() => feed_cipher(app, links, id, octets),
        Some(_) => feed_plain(app, links, id, octets),
    }
}

fn feed_cipher<A: App>(app: &mut A, links: &mut Links<A::Token>, id: LinkId, octets: &[u8]) {
    let mut plain = std::mem::take(&mut links.plain);
    let received = decrypt(links, id, octets, &mut plain);
    if !plain.is_empty() {
        feed_plain(app, links, id, &plain);
    }
    plain.clear();
    links.plain = plain;
    match received {
        Some(Ok(Received { peer_ended: true })) => links.peer_ended(id),
        Some(Ok(_)) => {}
        Some(Err(failure)) => links.close(id, CloseReason::Tls(failure)),
        None => panicked(links, id),
    }
}

/// `None` when it panicked.
fn decrypt<T: Copy>(
    links: &mut Links<T>,
    id: LinkId,
    octets: &[u8],
    plain: &mut Vec<u8>,
) -> Option<Result<Received, TlsFailure>> {
    let nothing = Some(Ok(Received::default()));
    // What comes after the end was decided is not listened to, as on a link without TLS.
    let Some(entry) = links.entry(id).filter(|entry| entry.closing.is_none()) else { return nothing };
    let Some(tls) = entry.tls.as_mut() else { return nothing };
    let was_established = tls.is_established();
    let received = catch_unwind(AssertUnwindSafe(|| tls.received(octets, plain)));
    if let Ok(Err(failure)) = received {
        tracing::warn!(?id, peer = %entry.peer, %failure, why = tls.why(), "TLS failed");
    } else if !was_established && tls.is_established() {
        tracing::debug!(?id, peer = %entry.peer, ?tls, "TLS established");
    }
    // An answer of the handshake, or the bind that waited for its end.
    if entry.has_to_write() {
        links.touch(id);
    }
    received.ok()
}

/// Hands decrypted octets, or those of a link without TLS, to the session.
pub(crate) fn feed_plain<A: App>(app: &mut A, links: &mut Links<A::Token>, id: LinkId, octets: &[u8]) {
    let Some(entry) = links.entry(id) else { return };
    let mut deframer = std::mem::replace(&mut entry.deframer, Deframer::new(0));
    // A panic in here is a mistake of ours about this peer's bytes: it must cost this link, not the others.
    let fed = catch_unwind(AssertUnwindSafe(|| feed_frames(app, links, id, &mut deframer, octets)));
    match fed {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            tracing::debug!(?id, ?error, first = ?&octets[..octets.len().min(16)], "not PDUs");
            links.counters.framing_errors += 1;
            if let Some(entry) = links.entry(id) {
                entry.session.nack(smpp::field::CommandStatus::ESME_RINVCMDLEN);
            }
            links.close(id, CloseReason::Framing(error));
        }
        Err(_) => panicked(links, id),
    }
    if let Some(entry) = links.entry(id) {
        entry.deframer = deframer;
    }
}

fn panicked<T: Copy>(links: &mut Links<T>, id: LinkId) {
    tracing::error!(?id, "handling a peer's bytes panicked; its link is closed");
    links.counters.panics += 1;
    links.close(id, CloseReason::Panicked);
}

fn feed_frames<A: App>(
    app: &mut A,
    links: &mut Links<A::Token>,
    id: LinkId,
    deframer: &mut Deframer,
    octets: &[u8],
) -> Result<(), FrameError> {
    let mut cursor = 0;
    while let Some(frame) = deframer.next(octets, &mut cursor)? {
        let Some(event) = links.handle_frame(id, frame) else { return Ok(()) };
        match event {
            Event::Nothing => {}
            Event::BindRefused { status, is_nack } => {
                app.on_event(links, id, Event::BindRefused { status, is_nack });
                links.close(id, CloseReason::BindRefused);
            }
            Event::BindRequest { .. } => {
                app.on_event(links, id, event);
                if links.hold(id, &octets[cursor..]) {
                    return Ok(());
                }
            }
            event => app.on_event(links, id, event),
        }
        links.end_if_over(id);
    }
    Ok(())
}

//! Why a payload was not written, or may be lost, and what that means for it.

use super::address::Address;
use super::pickle::InvalidLine;
use super::secure::Hindrance;
use crate::backend::SendError;
use std::io;
use std::time::Duration;

/// Why a payload was not written, or may be lost.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectionError {
    #[error("cannot connect to {0}")]
    Connect(Address, #[source] io::Error),
    #[error(
        "{0} accepts connections, but closes them at once; is it a Carbon, or a proxy before one that is down?"
    )]
    Closes(Address),
    #[error("{0} accepts connections, but does not read {1}; {question}", question = .0.protocol().question())]
    Misread(Address, &'static str),
    #[error("{0} has ended the connection")]
    Hindered(Address, #[source] Hindrance),
    #[error("{0} resets the connection over this payload alone; {question}", question = .0.protocol().question())]
    Refused(Address),
    #[error("{0} reset the connection before all data was read; {question}", question = .0.protocol().question())]
    Reset(Address),
    #[error("{0} has acknowledged nothing for {seconds} s; does it hang, or is the network down?", seconds = .1.as_secs_f64())]
    Silent(Address, Duration),
    #[cfg(feature = "slack")]
    #[error("{0} has not read everything within {seconds} s; does it hang, or is its cache full? --timeout is how long to wait", seconds = .1.as_secs_f64())]
    Unread(Address, Duration),
    #[error("{0} resets connections; recent payloads are sent one by one to find the cause")]
    Searching(Address),
    #[error("the connection to {0} broke")]
    Write(Address, #[source] io::Error),
    #[error("a line has more than the {1} bytes that {0} reads of a datagram; deliver over TCP")]
    TooLong(Address, usize),
    #[error("a payload cannot be written as a pickle")]
    Invalid(#[from] InvalidLine),
}

/// After most errors, Carbon may be back soon. Data written before the connection broke may have
/// arrived.
pub(super) fn failure(why: ConnectionError) -> SendError {
    let after = None;
    let needs_operator = match &why {
        ConnectionError::Connect(_, why) => {
            Hindrance::find(why).is_some_and(Hindrance::needs_operator)
        }
        ConnectionError::Hindered(_, hindrance) => hindrance.needs_operator(),
        _ => false,
    };
    match why {
        #[cfg(feature = "slack")]
        ConnectionError::Unread(..) => SendError::Unknown { after, why: Box::new(why) },
        why if needs_operator => SendError::Stop { why: Box::new(why) },
        ConnectionError::Refused(_)
        | ConnectionError::TooLong(..)
        | ConnectionError::Invalid(_) => SendError::Reject { why: Box::new(why) },
        ConnectionError::Connect(..) => SendError::Retry { after, why: Box::new(why) },
        ConnectionError::Closes(_)
        | ConnectionError::Misread(..)
        | ConnectionError::Hindered(..)
        | ConnectionError::Reset(_)
        | ConnectionError::Silent(..)
        | ConnectionError::Searching(_)
        | ConnectionError::Write(..) => SendError::Unknown { after, why: Box::new(why) },
    }
}

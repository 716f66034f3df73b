//! Tests of the order in which a channel is read.

use super::{Backlog, Message, Page, Read, Ts, Wanted};

const SECOND: u128 = 1_000_000;
const DAY: u128 = 86_400 * SECOND;

/// The middle of a day in 2026, in microseconds.
const NOW: u128 = 1_796_126_400 * SECOND;

/// A page of a channel as Slack gives it, the latest first.
fn page(channel: &[u128], wanted: &Wanted, limit: usize) -> Page<Message> {
    let (from, to) = (wanted.from.micros(), wanted.to.micros());
    let before = wanted.cursor.as_ref().map_or(u128::MAX, |cursor| cursor.parse().unwrap());
    let begin = channel.partition_point(|at| *at <= from);
    let end = channel.partition_point(|at| *at < to.min(before));
    let found: Vec<u128> = channel.get(begin..end).into_iter().flatten().rev().copied().collect();
    let items: Vec<_> =
        found.iter().take(limit).map(|at| Message::new(Ts::at_micros(*at), "a 1 1")).collect();
    let next = items.last().filter(|_| found.len() > limit);
    let next_cursor = next.map(|last| last.ts.micros().to_string());
    Page { items, next_cursor, unreadable: 0 }
}

/// Reads a channel to its end: the messages in the order in which they came, the pages before the
/// first ones came, and all pages.
fn read(channel: &[u128], cursor: u128, limit: usize) -> (Vec<u128>, usize, usize) {
    let (mut backlog, mut cursor) = (Backlog::default(), Ts::at_micros(cursor));
    let (mut came, mut first, mut pages) = (Vec::new(), None, 0);
    loop {
        let wanted = backlog.next(&cursor, &Ts::at_micros(NOW), None);
        pages += 1;
        assert!(pages < 10_000, "it does not end");
        match backlog.add(page(channel, &wanted, limit)) {
            Read::Page => {}
            Read::Part { messages, is_last } => {
                if let Some(last) = messages.back() {
                    cursor = last.ts.clone();
                    first.get_or_insert(pages);
                }
                came.extend(messages.iter().map(|message| message.ts.micros()));
                if is_last {
                    return (came, first.unwrap_or(pages), pages);
                }
            }
            Read::Stuck => panic!("stuck"),
        }
    }
}

/// One message each `every` microseconds, until now.
fn steady(messages: u128, every: u128) -> Vec<u128> {
    (1..=messages).rev().map(|i| NOW - i * every).collect()
}

#[test]
fn the_oldest_messages_come_after_few_pages_and_each_comes_once() {
    let day = steady(64_800, DAY / 64_800);
    let mut night = steady(2_000, 10 * SECOND);
    night.splice(0..0, (1..=500).map(|i| NOW - DAY + i * 10 * SECOND));
    let burst: Vec<u128> = (1..=12_000).map(|i| NOW - SECOND + i).collect();
    for (name, channel, cursor, limit, most_first, most_pages) in [
        ("nothing", vec![], NOW - DAY, 200, 1, 1),
        ("a few", steady(900, SECOND), NOW - DAY, 200, 5, 5),
        ("a day at 45 a minute", day.clone(), NOW - DAY, 200, 16, 460),
        ("the same, with pages of 15", day.clone(), NOW - DAY, 15, 20, 5_000),
        ("the same, and never read before", day, 0, 200, 20, 460),
        ("with a gap of a night", night, NOW - DAY, 200, 16, 60),
        ("12,000 in a moment", burst.clone(), 0, 200, 20, 150),
        ("the same, with pages of 15", burst, NOW - 2 * SECOND, 15, 30, 1_200),
    ] {
        let (came, first, pages) = read(&channel, cursor, limit);
        assert_eq!(came, channel, "{name}");
        assert!(first <= most_first, "{name}: the first after {first} pages");
        assert!(pages <= most_pages, "{name}: {pages} pages");
    }
}

#[test]
fn a_batch_that_is_pending_is_read_as_a_whole_and_alone() {
    let channel = steady(3_000, SECOND);
    let mut backlog = Backlog::default();
    let (cursor, latest) = (Ts::at_micros(channel[0]), Ts::at_micros(NOW));
    let last = Ts::at_micros(channel[1_700]);
    loop {
        let wanted = backlog.next(&cursor, &latest, Some(&last));
        match backlog.add(page(&channel, &wanted, 200)) {
            Read::Page => {}
            Read::Part { messages, is_last } => {
                assert_eq!((messages.len(), is_last), (1_700, false));
                assert_eq!(messages.back().unwrap().ts, last);
                return;
            }
            Read::Stuck => panic!("stuck"),
        }
    }
}

#[test]
fn a_page_that_leads_to_itself_ends_the_part() {
    let mut backlog = Backlog::default();
    let (cursor, latest) = (Ts::at_micros(0), Ts::at_micros(NOW));
    let again = || Page { items: vec![], next_cursor: Some("x".to_owned()), unreadable: 0 };
    let first = backlog.next(&cursor, &latest, None);
    assert_eq!(first.cursor, None);
    assert_eq!(backlog.add(again()), Read::Page);
    assert_eq!(backlog.next(&cursor, &latest, None).cursor.as_deref(), Some("x"));
    assert_eq!(backlog.add(again()), Read::Stuck);
    assert_eq!(backlog.next(&cursor, &latest, None), first);
}

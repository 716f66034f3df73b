//! Lists, which come in pages.

use super::error::Error;
use std::vec;

/// A page of a list.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Page<T> {
    /// The objects.
    pub items: Vec<T>,
    /// Where the next page begins. `None` for the last one.
    pub next_cursor: Option<String>,
    /// The number of objects of the page that cannot be read.
    pub unreadable: usize,
}

/// All objects of a list, page by page. It ends after an error.
#[derive(Debug)]
pub struct Pages<T, F> {
    fetch: F,
    items: vec::IntoIter<T>,
    next: Next,
}

#[derive(Debug)]
enum Next {
    End,
    First,
    Page(String),
}

impl<T, F: FnMut(Option<&str>) -> Result<Page<T>, Error>> Pages<T, F> {
    /// `fetch` gets the page at a cursor.
    pub(super) fn new(fetch: F) -> Self {
        Self { fetch, items: Vec::new().into_iter(), next: Next::First }
    }

    fn turn(&mut self) -> Result<(), Error> {
        let page = match &self.next {
            Next::End => return Ok(()),
            Next::First => (self.fetch)(None),
            Next::Page(cursor) => (self.fetch)(Some(cursor)),
        };
        let page = page.inspect_err(|_| self.next = Next::End)?;
        let is_same = matches!((&self.next, &page.next_cursor), (Next::Page(a), Some(b)) if a == b);
        self.items = page.items.into_iter();
        self.next = match page.next_cursor {
            // Otherwise the list would never end.
            Some(_) if is_same => {
                self.next = Next::End;
                let why = "the next page has the same cursor".to_owned();
                return Err(Error::Unreadable { status: 200, why });
            }
            Some(cursor) => Next::Page(cursor),
            None => Next::End,
        };
        Ok(())
    }
}

impl<T, F: FnMut(Option<&str>) -> Result<Page<T>, Error>> Iterator for Pages<T, F> {
    type Item = Result<T, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(item) = self.items.next() {
                return Some(Ok(item));
            }
            if matches!(self.next, Next::End) {
                return None;
            }
            if let Err(error) = self.turn() {
                return Some(Err(error));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Page, Pages};

    #[test]
    fn pages_follow_cursors_to_the_end() {
        let pages = Pages::new(|cursor| {
            let (items, next) = match cursor {
                None => (vec![1, 2], Some("a")),
                Some("a") => (vec![], Some("b")),
                _ => (vec![3], None),
            };
            Ok(Page { items, next_cursor: next.map(str::to_owned), unreadable: 0 })
        });
        assert_eq!(pages.map(Result::unwrap).collect::<Vec<_>>(), [1, 2, 3]);
        let mut endless = Pages::new(|_| {
            Ok(Page { items: vec![1], next_cursor: Some("a".to_owned()), unreadable: 0 })
        });
        assert_eq!(endless.next().unwrap().unwrap(), 1);
        assert!(endless.next().unwrap().is_err() && endless.count() <= 1);
    }
}

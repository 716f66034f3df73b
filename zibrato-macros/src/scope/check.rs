//! Checks for invalid combinations of arguments, with each other and with the function.

use proc_macro2::Span;
use syn::Error;

use super::Scope;
use crate::args::Args;
use crate::check;
use crate::function::Function;

/// Reports why the function cannot be measured with these arguments.
pub(crate) fn check(function: &Function, args: &Args, errors: &mut Vec<Error>) {
    let scope = &args.scope;
    together(function, args, errors);
    names(scope, args, errors);
    if !function.is_async() {
        futures_only(scope, errors);
    }
    if let Some(err) = &scope.err
        && function.output().is_none()
    {
        let message = "this needs a function that returns a `Result` or an `Option`; \
                       if it returns neither, remove `err`";
        errors.push(Error::new(err.span, message));
    }
}

fn together(function: &Function, args: &Args, errors: &mut Vec<Error>) {
    let scope = &args.scope;
    let split = scope.split();
    if let (Some(on), Some((word, _))) = (args.one_outcome(), split) {
        let message = format!(
            "`on` counts one outcome, and `{word}` counts each separately; keep one of the two"
        );
        errors.push(Error::new(on.span, message));
    }
    several(scope, args, errors);
    late(function, args, errors);
    reading(function, args, errors);
    let Some(sample) = &scope.sample else { return };
    let clashes = [
        split.map(|(word, _)| word),
        scope.slow.as_ref().map(|_| "slow"),
        scope.busy.map(|_| "busy"),
    ];
    let words: Vec<_> = clashes.into_iter().flatten().map(|word| format!("`{word}`")).collect();
    if !words.is_empty() {
        let message = format!(
            "`sample` leaves most calls untimed, so it cannot be combined with {}; \
             remove `sample`, or put it in a separate `#[time_me]`",
            words.join(" and ")
        );
        errors.push(Error::new(sample.span, message));
    }
}

/// A value of the result needs a result, and a name that is known when the program is compiled.
fn reading(function: &Function, args: &Args, errors: &mut Vec<Error>) {
    let Some(closure) = args.reading() else { return };
    if function.output().is_none() {
        let message = "the closure gets the result of the function, and this function returns nothing; \
                       give a value that is known when the call begins";
        errors.push(Error::new_spanned(closure, message));
    }
    if let Some(name) = args.name.as_ref().filter(|name| name.is_run_time) {
        let message = "a name made at run time cannot be combined with a value of the result; \
                       write a literal or a constant, and what is made at run time as a tag";
        errors.push(Error::new_spanned(&name.expr, message));
    }
}

/// A tag over the result needs a result, and a call site of its own.
fn late(function: &Function, args: &Args, errors: &mut Vec<Error>) {
    let Some((tag, closure)) = args.tags.iter().find_map(|tag| Some((tag, tag.late()?))) else {
        return;
    };
    let key = tag.key.value();
    if function.output().is_none() {
        let message = format!(
            "the closure gets the result of the function, and this function returns nothing; \
             remove the tag `{key}`, or give it a value that is known when the call begins"
        );
        errors.push(Error::new_spanned(closure, message));
    }
    if let Some(sample) = &args.scope.sample {
        let message = format!(
            "`sample` decides for each series, when a call begins, whether it is timed, and the tag \
             `{key}` is known only when it ends; remove one of them"
        );
        errors.push(Error::new(sample.span, message));
    }
    if let Some(name) = args.name.as_ref().filter(|name| name.is_run_time) {
        let message = format!(
            "a name made at run time cannot be combined with a tag over the result; \
             write a literal or a constant, and what is made at run time as a tag beside `{key}`"
        );
        errors.push(Error::new_spanned(&name.expr, message));
    }
}

/// A name that is made at each call is the name of one series.
fn several(scope: &Scope, args: &Args, errors: &mut Vec<Error>) {
    let word = scope.split().map(|(word, _)| word);
    let word = word.or(scope.slow.as_ref().map(|_| "slow"));
    let word = word.or(scope.in_flight.map(|_| "in_flight")).or(scope.polls.map(|_| "polls"));
    let Some(word) = word else { return };
    if let Some(name) = args.name.as_ref().filter(|name| name.is_run_time) {
        let message = format!(
            "a name made at run time cannot be combined with `{word}`, which makes several series; \
             write a literal or a constant, and what is made at run time as a tag"
        );
        errors.push(Error::new_spanned(&name.expr, message));
    }
    let ours = [("outcome", scope.split().is_some()), ("slow", scope.slow.is_some())];
    for (key, _) in ours.iter().filter(|(_, used)| *used) {
        if let Some(tag) = args.tags.iter().find(|tag| tag.key.value() == *key) {
            let message = format!("the tag `{key}` is added by the attribute itself; rename yours");
            errors.push(Error::new(tag.key.span(), message));
        }
    }
}

/// Names with a suffix must be valid too.
fn names(scope: &Scope, args: &Args, errors: &mut Vec<Error>) {
    let Some(name) = args.name.as_ref().and_then(|name| name.literal()) else { return };
    let longer = [(scope.in_flight, ".in_flight"), (scope.polls, ".polls")];
    for (_, ending) in longer.into_iter().filter(|(word, _)| word.is_some()) {
        if check::name_problem(&format!("{}{ending}", name.value())).is_some() {
            let message = format!(
                "the name is too long with the appended `{ending}` (at most 255 bytes); \
                 shorten it"
            );
            errors.push(Error::new(name.span(), message));
        }
    }
}

fn futures_only(scope: &Scope, errors: &mut Vec<Error>) {
    let mut refuse = |word: &str, span: Option<Span>, what: &str| {
        let Some(span) = span else { return };
        let message = format!("`{word}` {what}, and this function is not `async`; remove `{word}`");
        errors.push(Error::new(span, message));
    };
    refuse("busy", scope.busy, "is the time inside the polls of a future");
    refuse("polls", scope.polls, "counts the polls of a future");
    let cancelled = scope.cancelled.as_ref().map(|cancelled| cancelled.span);
    refuse("cancelled", cancelled, "is what happens to a future");
}

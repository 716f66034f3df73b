//! A body in a scope: a call in a closure, or a future beside the scope that polls it.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{ExprClosure, Path};

use super::inline;
use crate::body::Body;
use crate::erase::erase_impl_trait;
use crate::expand::{keep_drop_order, rebuilt, unmeasured_future};
use crate::family::tag_value;
use crate::function::{Function, Output};
use crate::returns::Returns;
use crate::spans::{braced, ends, here, hidden, is_mentioned, private_at};

/// What tells whether a call that returned has failed.
pub(super) enum Failed<'a> {
    /// The type of the result, which may or may not be an outcome.
    IfItCan,
    /// Nobody asks, or there is no result.
    Never,
    /// The result, which has to be an outcome.
    Outcome,
    /// It does not return.
    Unreachable,
    /// A closure, which says of the result whether it is counted.
    Unless(&'a ExprClosure),
}

/// What is in front of the body.
pub(super) enum First {
    /// It measures until it is dropped.
    Guard(Ident, TokenStream),
    Statement(TokenStream),
}

impl ToTokens for First {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        tokens.extend(match self {
            Self::Guard(name, guard) => quote_spanned!(here()=> let #name = #guard;),
            Self::Statement(statement) => statement.clone(),
        });
    }
}

/// What takes the value of a histogram from the result.
pub(super) struct Reading<'a> {
    pub(super) closure: &'a ExprClosure,
    /// Where it is recorded; `None` if it is noted with the tags.
    pub(super) site: Option<TokenStream>,
}

/// A body that is to run in a scope.
pub(super) struct Around<'a> {
    pub(super) function: &'a Function,
    pub(super) body: &'a Body,
    pub(super) krate: Option<&'a Path>,
    /// Variables that the rest of it uses.
    pub(super) at_the_call: &'a TokenStream,
    /// What happens when the call begins.
    pub(super) first: Vec<First>,
    pub(super) recording: &'a TokenStream,
    pub(super) output: Output,
    pub(super) failed: Failed<'a>,
    /// What gives the values of tags over the result, in the order of the tags.
    pub(super) late: Vec<&'a ExprClosure>,
    pub(super) reading: Option<Reading<'a>>,
}

/// See [`Around::typed`].
#[derive(Default)]
struct Typed {
    /// Goes in front of the closure or block.
    outside: TokenStream,
    /// Goes into the async block.
    inside: TokenStream,
    /// Goes in front of the closure that is an argument.
    argument: TokenStream,
}

impl Around<'_> {
    /// The function with its body in the scope.
    pub(super) fn measured(&self) -> TokenStream {
        let Self { function, body, .. } = self;
        if let Some(around) = &body.around {
            let content = match &around.head {
                Some(head) => {
                    let Typed { outside, inside, .. } = self.typed();
                    let block = self.block(&quote!(#outside #inside));
                    quote!(#head #block)
                }
                None => body.statements.clone(),
            };
            let head = function.head();
            let block = braced(around.braces(), around.wrap(&self.future(&content)));
            return quote!(#head #block);
        }
        if function.returns.is_measured() || function.returns.is_unlikely() {
            return rebuilt(function, body, self.making());
        }
        if function.signature.asyncness.is_none() {
            return rebuilt(function, body, self.call());
        }
        let Typed { outside, inside, .. } = self.typed();
        let block = self.block(&inside);
        let future = self.future(&quote_spanned!(here()=> async move #block));
        let is_used = |binding: &Ident| is_mentioned(binding, body.statements.clone());
        if self.output.is_whole
            && let Some(head) = function.head_without_async(&self.output, is_used)
        {
            let inner_attributes = &body.inner_attributes;
            let block = braced(body.braces, quote!(#(#inner_attributes)* #future));
            return quote!(#head #block);
        }
        rebuilt(function, body, quote_spanned!(here()=> #outside #future.await))
    }

    fn private(&self, words: &[&str]) -> TokenStream {
        private_at(self.krate, words, here(), here())
    }

    /// The body as a block, with `first` in it.
    fn block(&self, first: &TokenStream) -> TokenStream {
        let Body { items, statements, .. } = self.body;
        let keep = keep_drop_order(self.function, self.body);
        braced(self.body.braces, quote_spanned!(here()=> #first #keep #items #statements)).into()
    }

    /// A closure, so that `return` and `?` end there.
    fn call(&self) -> TokenStream {
        let Self { at_the_call, first, recording, output, .. } = self;
        let call = self.private(&["scope", "call"]);
        let run = if output.is_whole { "run" } else { "run_typed" };
        let run = self.private(&["scope", run]);
        let block = self.block(&TokenStream::new());
        let Output { tokens, from, to, .. } = output;
        let closure = quote_spanned!(self.body.braces=> move || -> #tokens #block);
        let Typed { outside, argument, .. } = self.typed();
        let Body { items, statements, .. } = self.body;
        let run = if inline::is_needed(&self.function.signature, statements) {
            // A block with one expression alone would be called needless.
            let content = quote_spanned!(here()=> let _ = (); #items #statements);
            braced(self.body.braces, content).to_token_stream()
        } else {
            quote_spanned!(here()=> #run(#argument #closure))
        };
        let result = if matches!(self.failed, Failed::Unreachable) {
            // What is dropped has panicked.
            run
        } else {
            let finish = self.private(&["scope", "Scope", "finish"]);
            let named = Ident::new("__zibrato_result", hidden(*from));
            let result = quote_spanned!(hidden(*to)=> &#named);
            let failed = self.look(&result);
            let tags = self.private(&["scope", "Scope", "tags"]);
            let late = self.late(&quote_spanned!(here()=> #tags(&mut __zibrato_scope)), &result);
            quote_spanned!(here()=>
                let #named: #tokens = #run;
                #late
                #finish(__zibrato_scope, #failed, #named)
            )
        };
        let scope = if self.has_late() {
            quote_spanned!(here()=> mut __zibrato_scope)
        } else {
            quote_spanned!(here()=> __zibrato_scope)
        };
        let warning = unmeasured_future(self.function, self.krate);
        quote_spanned!(here()=>
            #warning
            #at_the_call
            #(#first)*
            #outside
            let #scope = #call(#recording);
            #result
        )
    }

    /// A call that makes a future, and goes on in it.
    fn making(&self) -> TokenStream {
        let Self { function, at_the_call, first, recording, .. } = self;
        let call = self.private(&["scope", "call"]);
        let make = self.private(&["scope", "Scope", "make"]);
        let block = self.block(&TokenStream::new());
        let declared = function.declared().map(|output| erase_impl_trait(output).0);
        let closure = quote_spanned!(self.body.braces=> move || -> #declared #block);
        let guards = self.guards();
        let end = self.end();
        let parts = quote_spanned!(here()=> __zibrato_scope, #guards, __zibrato_made, #end);
        let returned = self.private(&["scope", "returned"]);
        let finished = match function.returns {
            Returns::Pinned => {
                let pin = self.private(&["Box", "pin"]);
                quote_spanned!(here()=> #pin(#returned(#parts)))
            }
            Returns::Boxed => {
                let new = self.private(&["Box", "new"]);
                quote_spanned!(here()=> #new(#returned(#parts)))
            }
            Returns::Perhaps | Returns::Unlikely => {
                let made = self.private(&["scope", "made"]);
                // Where it is a future that cannot be measured, the caret belongs under its type.
                let span = function.declared().map_or_else(here, |output| hidden(ends(output).0));
                let end = Ident::new("__zibrato_end", span);
                quote_spanned!(here()=> #made(&__zibrato_made).#end(#parts))
            }
            Returns::Future | Returns::Value | Returns::Unwrappable => {
                quote_spanned!(here()=> #returned(#parts))
            }
        };
        quote_spanned!(here()=>
            #at_the_call
            #(#first)*
            let mut __zibrato_scope = #call(#recording);
            let __zibrato_made = #make(&mut __zibrato_scope, #closure);
            #finished
        )
    }

    /// The guards, to be dropped from the last to the first.
    fn guards(&self) -> TokenStream {
        let guards = self.first.iter().rev().filter_map(|first| match first {
            First::Guard(name, _) => Some(name),
            First::Statement(_) => None,
        });
        quote_spanned!(here()=> (#(#guards,)*))
    }

    /// The future beside the scope that polls it.
    fn future(&self, future: &TokenStream) -> TokenStream {
        let Self { at_the_call, first, recording, .. } = self;
        let measured = self.private(&["scope", "measured"]);
        let guards = self.guards();
        let begin = quote_spanned!(here()=> move || {
            #(#first)*
            (#recording, #guards)
        });
        let begin = if at_the_call.is_empty() {
            begin
        } else {
            quote_spanned!(here()=> { #at_the_call #begin })
        };
        let end = self.end();
        quote_spanned!(here()=> #measured(#begin, #future, #end))
    }

    /// The closure that looks at the result of a future.
    fn end(&self) -> TokenStream {
        let named = Ident::new("__zibrato_result", hidden(self.output.from));
        let result = quote_spanned!(hidden(self.output.to)=> &*#named);
        let failed = self.look(&result);
        if !self.has_late() {
            return quote_spanned!(here()=> |#named, _| #failed);
        }
        let late = self.late(&quote_spanned!(here()=> __zibrato_tags), &result);
        // Where a closure of the user's takes what the body has moved, the caret belongs under it.
        let mut closures =
            self.late.iter().copied().chain(self.reading.as_ref().map(|reading| reading.closure));
        let about = closures.next().map_or_else(here, |closure| hidden(ends(closure).0));
        quote_spanned!(about=> move |#named, __zibrato_tags| { #late #failed })
    }

    /// Whether something that depends on the result is noted with the tags.
    fn has_late(&self) -> bool {
        !self.late.is_empty() || self.reading.as_ref().is_some_and(|it| it.site.is_none())
    }

    /// Gives `tags`, if there are some, the values that depend on the result.
    fn late(&self, tags: &TokenStream, result: &TokenStream) -> TokenStream {
        if !self.has_late() {
            return TokenStream::new();
        }
        let noted = self.reading.as_ref().filter(|reading| reading.site.is_none());
        let read = noted.map(|Reading { closure, .. }| {
            // Where it gives no number, the caret belongs under it.
            let (from, to) = ends(closure);
            let read = private_at(self.krate, &["CallTags", "read"], from, to);
            quote_spanned!(hidden(to)=> #read(__zibrato_tags, #result, #closure);)
        });
        let add = self.private(&["CallTags", "add"]);
        let value = quote_spanned!(here()=> __zibrato_value);
        let adds = self.late.iter().map(|closure| {
            let shown = tag_value(self.krate, &value, &closure.body);
            // Where it takes something else than the result, the caret belongs under it.
            let (from, to) = ends(closure);
            let look = private_at(self.krate, &["CallTags", "look"], from, to);
            let looked = quote_spanned!(hidden(to)=> #look(__zibrato_tags, #result, #closure));
            quote_spanned!(here()=>
                if let ::core::option::Option::Some(#value) = #looked {
                    #add(__zibrato_tags, #shown);
                }
            )
        });
        quote_spanned!(here()=>
            if let ::core::option::Option::Some(__zibrato_tags) = #tags {
                #(#adds)*
                #read
            }
        )
    }

    /// What tells a closure or an async block the type of its result, where it cannot be written:
    /// a return that is never taken has the type of the function.
    fn typed(&self) -> Typed {
        let Output { tokens, is_whole, from, .. } = &self.output;
        let mut typed = Typed::default();
        if matches!(self.failed, Failed::Unreachable) {
            return typed;
        }
        let never = if *is_whole {
            quote_spanned!(hidden(*from)=> ::core::option::Option::<#tokens>::None)
        } else {
            let never = self.private(&["scope", "never"]);
            let never = quote_spanned!(here()=> #never(__zibrato_returned));
            typed.outside = quote_spanned!(here()=>
                let __zibrato_returned = ::core::marker::PhantomData::<fn() -> _>;
                if let ::core::option::Option::Some(__zibrato_never) = #never {
                    return __zibrato_never;
                }
            );
            typed.argument = quote_spanned!(here()=> __zibrato_returned,);
            never
        };
        typed.inside = quote_spanned!(hidden(*from)=>
            if let ::core::option::Option::Some(__zibrato_never) = #never {
                return __zibrato_never;
            }
        );
        typed
    }

    /// Records the reading of a histogram, if it is of one site, and whether the result is an error,
    /// given a reference to it.
    fn look(&self, result: &TokenStream) -> TokenStream {
        let failed = self.failed(result);
        let Some(Reading { closure, site: Some(site) }) = &self.reading else { return failed };
        let (from, to) = ends(closure);
        let record = private_at(self.krate, &["scope", "record"], from, to);
        let record = quote_spanned!(hidden(to)=> #record(#site, #result, #closure););
        quote_spanned!(here()=> { #record #failed })
    }

    /// Whether the result is an error, given a reference to it.
    fn failed(&self, result: &TokenStream) -> TokenStream {
        let Output { from, to, .. } = &self.output;
        match &self.failed {
            Failed::Unless(closure) => {
                // Where it says something else than `true` or `false`, the caret belongs there.
                let (from, to) = ends(closure);
                let fails = private_at(self.krate, &["scope", "fails"], from, to);
                quote_spanned!(hidden(to)=> #fails(#result, #closure))
            }
            Failed::Never | Failed::Unreachable => {
                quote_spanned!(here()=> { let _ = #result; false })
            }
            Failed::IfItCan => {
                let look = self.private(&["scope", "Look"]);
                quote_spanned!(here()=> #look(#result).__zibrato_failed())
            }
            // Where the type is no outcome, rustc underlines this.
            Failed::Outcome => {
                let is_err = private_at(self.krate, &["scope", "is_err"], *from, *to);
                quote_spanned!(hidden(*to)=> #is_err(#result))
            }
        }
    }
}

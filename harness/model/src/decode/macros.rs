//! One declaration for a type, its decoder and its schema.

/// Declares a struct that is written as a mapping.
///
/// A field is required unless its type is an `Option` or it has a default (`= expression`). `as "key"` gives the key
/// where it is not the field's name. After the fields, `..pub name` takes one key of any name as a
/// [`Kinded`](crate::decode::Kinded), with an example for when it is missing. After the struct come rules:
/// `exactly_one ["a", "b"];` `at_least_one ["a", "b"];` `at_most_one ["a", "b"];` `at_most_one_without ["a", "b", "c"];`
/// (`b` and `c` exclude each other where there is no `a`) `needs ["a", "b"];` (`a` needs `b`) and `later ["a"];` for keys
/// that the language has and this version does not.
///
/// ```
/// squall_model::record! {
///     /// How a clock is disturbed.
///     pub struct Clock {
///         /// The service whose clock it is.
///         pub target: squall_model::span::Spanned<squall_model::name::Name>,
///         /// How far it jumps.
///         pub step: Option<squall_model::units::SignedDuration>,
///         /// True to stop it.
///         pub freeze: bool = false,
///     }
///     at_most_one ["step", "freeze"];
///     later ["strobe"];
/// }
/// ```
#[macro_export]
macro_rules! record {
    (
        $(#[doc = $doc:literal])*
        $vis:vis struct $name:ident {
            $(
                $(#[doc = $field_doc:literal])*
                $field_vis:vis $field:ident $(as $key:literal)? : $type:ty $(= $default:expr)?,
            )*
            $(
                ..
                $(#[doc = $rest_doc:literal])*
                $rest_vis:vis $rest:ident($example:literal) $(,)?
            )?
        }
        $($rule:ident [$($argument:literal),* $(,)?];)*
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq)]
        $vis struct $name {
            $(
                $(#[doc = $field_doc])*
                $field_vis $field: $type,
            )*
            $(
                $(#[doc = $rest_doc])*
                $rest_vis $rest: $crate::decode::Kinded,
            )?
        }

        impl $name {
            const RULES: &'static [$crate::decode::Rule] =
                &[$($crate::decode::Rule::$rule(&[$($argument),*])),*];

            /// The keys that are written.
            $vis const KEYS: &'static [&'static str] = &[$($crate::record!(@key $field $($key)?)),*];
        }

        impl $crate::decode::Decode for $name {
            fn decode(
                node: &$crate::node::Node,
                diagnostics: &mut $crate::diagnostic::Diagnostics,
            ) -> ::core::option::Option<Self> {
                const OPEN: bool = $crate::record!(@is_open $($rest)?);
                let fields =
                    $crate::decode::Fields::open(node, Self::KEYS, Self::RULES, OPEN, diagnostics)?;
                $(
                    let $field = $crate::record!(
                        @get fields, $crate::record!(@key $field $($key)?), diagnostics $(, $default)?
                    );
                )*
                $(let $rest = fields.rest(::core::stringify!($rest), $example, diagnostics);)?
                let _ = &fields;
                ::core::option::Option::Some(Self { $($field: $field?,)* $($rest: $rest?,)? })
            }

            fn schema() -> $crate::decode::Schema {
                const OPEN: bool = $crate::record!(@is_open $($rest)?);
                $crate::decode::record_schema(
                    ::core::stringify!($name),
                    &[$($doc),*],
                    &[$((
                        $crate::record!(@key $field $($key)?),
                        $crate::decode::field_schema(
                            <$type as $crate::decode::Decode>::schema(),
                            &[$($field_doc),*],
                        ),
                        $crate::record!(@is_required $type $(, $default)?),
                    )),*],
                    Self::RULES,
                    OPEN,
                )
            }
        }
    };
    (@key $field:ident) => { ::core::stringify!($field) };
    (@key $field:ident $key:literal) => { $key };
    (@is_open) => { false };
    (@is_open $rest:ident) => { true };
    (@get $fields:ident, $key:expr, $diagnostics:ident) => { $fields.get($key, $diagnostics) };
    (@get $fields:ident, $key:expr, $diagnostics:ident, $default:expr) => {
        $fields.get_or($key, $default, $diagnostics)
    };
    (@is_required $type:ty) => { <$type as $crate::decode::Decode>::absent().is_none() };
    (@is_required $type:ty, $default:expr) => { false };
}

/// Declares an enum that is written as one word of a few.
///
/// ```
/// squall_model::choice! {
///     /// Which way bytes go.
///     pub enum Direction {
///         /// From the caller.
///         Request = "request",
///         /// To the caller.
///         Response = "response",
///     }
/// }
/// assert_eq!(Direction::Request.as_str(), "request");
/// ```
#[macro_export]
macro_rules! choice {
    (
        $(#[doc = $doc:literal])*
        $vis:vis enum $name:ident {
            $($(#[doc = $variant_doc:literal])* $variant:ident = $word:literal),+ $(,)?
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        $vis enum $name {
            $($(#[doc = $variant_doc])* $variant,)+
        }

        impl $name {
            /// The words, in the order of the variants.
            $vis const WORDS: &'static [&'static str] = &[$($word),+];

            /// The word that is written.
            $vis const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }
        }

        impl ::core::fmt::Display for $name {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl $crate::decode::Decode for $name {
            fn decode(
                node: &$crate::node::Node,
                diagnostics: &mut $crate::diagnostic::Diagnostics,
            ) -> ::core::option::Option<Self> {
                match $crate::decode::decode_word(node, Self::WORDS, diagnostics)? {
                    $($word => ::core::option::Option::Some(Self::$variant),)+
                    _ => ::core::option::Option::None,
                }
            }

            fn schema() -> $crate::decode::Schema {
                $crate::decode::choice_schema(
                    ::core::stringify!($name),
                    &[$($doc),*],
                    &[$(($word, &[$($variant_doc),*])),+],
                )
            }
        }
    };
}

/// Declares an enum that is written as a mapping with one key, which names the variant.
///
/// ```
/// squall_model::tagged! {
///     /// Where values come from.
///     pub enum Data {
///         /// Counts up from a number.
///         Sequence(u64) = "sequence",
///         /// Always the same text.
///         Constant(String) = "constant",
///     }
/// }
/// ```
#[macro_export]
macro_rules! tagged {
    (
        $(#[doc = $doc:literal])*
        $vis:vis enum $name:ident {
            $($(#[doc = $variant_doc:literal])* $variant:ident($type:ty) = $key:literal),+ $(,)?
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq)]
        $vis enum $name {
            $($(#[doc = $variant_doc])* $variant($type),)+
        }

        impl $crate::decode::Decode for $name {
            fn decode(
                node: &$crate::node::Node,
                diagnostics: &mut $crate::diagnostic::Diagnostics,
            ) -> ::core::option::Option<Self> {
                let (key, value) = $crate::decode::decode_tag(node, &[$($key),+], diagnostics)?;
                match key {
                    $($key => <$type as $crate::decode::Decode>::decode(value, diagnostics).map(Self::$variant),)+
                    _ => ::core::option::Option::None,
                }
            }

            fn schema() -> $crate::decode::Schema {
                $crate::decode::any_schema(
                    ::core::stringify!($name),
                    &[$($doc),*],
                    &[$($crate::decode::one_key_schema(
                        $key,
                        &$crate::decode::described(&[$($variant_doc),*]),
                        &<$type as $crate::decode::Decode>::schema(),
                    )),+],
                )
            }
        }
    };
}

/// Declares an enum whose variants are told apart by shape: at most one each of `scalar`, `sequence` and `mapping`.
///
/// ```
/// use squall_model::name::Name;
/// squall_model::untagged! {
///     /// What a service calls.
///     pub enum Calls {
///         /// Services by their own names.
///         List(Vec<Name>) = sequence,
///         /// Services by their roles.
///         Roles(squall_model::decode::Map<Name, Name>) = mapping,
///     }
/// }
/// ```
#[macro_export]
macro_rules! untagged {
    (
        $(#[doc = $doc:literal])*
        $vis:vis enum $name:ident {
            $($(#[doc = $variant_doc:literal])* $variant:ident($type:ty) = $shape:ident),+ $(,)?
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug, PartialEq)]
        $vis enum $name {
            $($(#[doc = $variant_doc])* $variant($type),)+
        }

        impl $crate::decode::Decode for $name {
            fn decode(
                node: &$crate::node::Node,
                diagnostics: &mut $crate::diagnostic::Diagnostics,
            ) -> ::core::option::Option<Self> {
                $(
                    if $crate::decode::Shape::of(node) == $crate::untagged!(@shape $shape) {
                        return <$type as $crate::decode::Decode>::decode(node, diagnostics).map(Self::$variant);
                    }
                )+
                let shapes = [$($crate::untagged!(@shape $shape)),+];
                $crate::decode::wrong_shape(node, &shapes, diagnostics);
                ::core::option::Option::None
            }

            fn schema() -> $crate::decode::Schema {
                $crate::decode::any_schema(
                    ::core::stringify!($name),
                    &[$($doc),*],
                    &[$($crate::decode::field_schema(
                        <$type as $crate::decode::Decode>::schema(),
                        &[$($variant_doc),*],
                    )),+],
                )
            }
        }
    };
    (@shape scalar) => { $crate::decode::Shape::Scalar };
    (@shape sequence) => { $crate::decode::Shape::Sequence };
    (@shape mapping) => { $crate::decode::Shape::Mapping };
}

//! What campaigns count: public numbers that start at 0, add up field by field, and go into reports.

use std::collections::BTreeMap;

/// Something that adds up: a number, numbers by kind, or a struct of [`counts`].
pub(super) trait Sum {
    fn add(&mut self, other: &Self);
}

impl Sum for u64 {
    fn add(&mut self, other: &Self) {
        *self += other;
    }
}

impl<K: Ord + Copy, V: Sum + Default> Sum for BTreeMap<K, V> {
    fn add(&mut self, other: &Self) {
        for (kind, count) in other {
            self.entry(*kind).or_default().add(count);
        }
    }
}

/// Defines a struct of counts, which `+=` adds up.
macro_rules! counts {
    ($(#[$attribute:meta])* pub struct $name:ident {
        $($(#[$documentation:meta])* pub $field:ident: $type:ty,)*
    }) => {
        $(#[$attribute])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
        #[non_exhaustive]
        pub struct $name {
            $($(#[$documentation])* pub $field: $type,)*
        }

        impl $crate::testing::counts::Sum for $name {
            fn add(&mut self, other: &Self) {
                $($crate::testing::counts::Sum::add(&mut self.$field, &other.$field);)*
            }
        }

        impl std::ops::AddAssign<&Self> for $name {
            fn add_assign(&mut self, other: &Self) {
                $crate::testing::counts::Sum::add(self, other);
            }
        }

        impl std::ops::AddAssign for $name {
            fn add_assign(&mut self, other: Self) {
                *self += &other;
            }
        }
    };
}

/// Lets a struct with `refusals`, `losses` and `violations` count broken laws by what they mean.
macro_rules! count_broken_laws {
    ($name:ident) => {
        impl $name {
            pub(super) fn count(&mut self, kind: $crate::testing::laws::Kind) {
                use $crate::testing::laws::Kind;
                *match kind {
                    Kind::Refusal => &mut self.refusals,
                    Kind::Loss => &mut self.losses,
                    Kind::Violation => &mut self.violations,
                } += 1;
            }
        }
    };
}

pub(super) use {count_broken_laws, counts};

#[cfg(test)]
mod tests {
    use crate::testing::laws::Kind;
    use std::collections::BTreeMap;

    counts! {
        /// For the test.
        pub struct Counts {
            /// A number.
            pub losses: u64,
            /// Another.
            pub refusals: u64,
            /// A third.
            pub violations: u64,
            /// Numbers by kind.
            pub kinds: BTreeMap<&'static str, u64>,
        }
    }

    count_broken_laws!(Counts);

    #[test]
    fn each_field_is_added_to_its_own() {
        let mut one = Counts { losses: 1, kinds: [("a", 1), ("b", 2)].into(), ..Counts::default() };
        let other = Counts { refusals: 20, kinds: [("b", 30)].into(), ..Counts::default() };
        one += &other;
        one += other;
        let kinds = [("a", 1), ("b", 62)].into();
        assert_eq!(one, Counts { losses: 1, refusals: 40, violations: 0, kinds });
    }

    #[test]
    fn each_kind_of_breach_has_its_count() {
        let mut counts = Counts::default();
        for (kind, times) in [(Kind::Refusal, 1), (Kind::Loss, 2), (Kind::Violation, 3)] {
            (0..times).for_each(|_| counts.count(kind));
        }
        assert_eq!((counts.refusals, counts.losses, counts.violations), (1, 2, 3));
    }
}

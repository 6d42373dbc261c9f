//! One bad thing stops one thing. One file for each kind of bad thing; in each test something is too
//! large, too slow, forbidden or broken, and everything else goes on.

mod slow_links;

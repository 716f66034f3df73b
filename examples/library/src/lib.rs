//! A recipe of docs/recipes.md: a library that measures itself, if its user wants that.

/// The words of a text.
#[derive(Debug, Default)]
pub struct Index {
    words: Vec<String>,
}

#[cfg_attr(feature = "zibrato", zibrato::time_me(name = "textindex", level = "debug"))]
impl Index {
    /// Adds a text, and returns how many of its words are new.
    pub fn add(&mut self, text: &str) -> usize {
        let before = self.words.len();
        for word in text.split_whitespace() {
            if !self.words.iter().any(|known| known == word) {
                self.words.push(word.to_owned());
            }
        }
        let new = self.words.len() - before;
        #[cfg(feature = "zibrato")]
        zibrato::count!("info", "textindex.words", new);
        new
    }

    /// Whether a text contained the word.
    #[must_use]
    pub fn contains(&self, word: &str) -> bool {
        self.words.iter().any(|known| known == word)
    }
}

/// Random words put before a caption. A model that has seen them in training is not thrown off its prompt by words
/// that mean nothing to it, so that an adversarial prefix has to work by what it says.
enum Distraction {
  /// One to four words: invented, ordinary English, pieces of the world's own words, or now and then one of its words
  /// whole. Few enough that caption and words fit into 30 tokens even when every letter becomes a token; empty where
  /// nothing fits.
  static func words(before caption: String, _ draws: inout Draws) -> String {
    let parts = caption.split(separator: " ")
    var letters = 30 - parts.count
    // Whole words of the world come only before a caption that starts like a sentence: there is no telling in
    // "blue circle" that blue is noise.
    let grammatical = parts.first.map { $0 == "a" || $0 == "an" || $0 == "the" } ?? false
    var words: [String] = []
    for _ in 0..<(1 + draws.index(below: 4)) {
      let word: String
      switch draws.index(below: 100) {
      case ..<40: word = invented(&draws)
      case ..<72: word = draws.pick(ordinaryWords)
      case ..<94: word = piece(&draws)
      default: word = grammatical ? draws.pick(Lexicon.contentWords) : invented(&draws)
      }
      guard word.count <= letters else { break }
      letters -= word.count
      words.append(word)
    }
    return words.joined(separator: " ")
  }

  /// `count` words of at most five letters that no training caption began with, for the most part English: the
  /// control that an attack is compared with.
  static func control(count: Int, _ draws: inout Draws) -> [String] {
    (0..<count).map { _ in draws.chance(0.3) ? String(invented(&draws).prefix(5)) : draws.pick(controlWords) }
  }

  private static func invented(_ draws: inout Draws) -> String {
    if draws.chance(0.35) {
      let letters = Array("abcdefghijklmnopqrstuvwxyz")
      return String((0..<(1 + draws.index(below: 5))).map { _ in draws.pick(letters) })
    }
    let onsets = [
      "b", "c", "d", "f", "g", "h", "k", "l", "m", "n", "p", "r", "s", "t", "v", "w", "br", "st", "tr", "pl",
    ]
    let vowels = ["a", "e", "i", "o", "u", "ea", "oo", "ai"]
    let codas = ["", "", "n", "r", "s", "t", "l", "m", "nd", "ck"]
    return (0..<(1 + draws.index(below: 2))).map { _ in draws.pick(onsets) + draws.pick(vowels) + draws.pick(codas) }
      .joined()
  }

  private static func piece(_ draws: inout Draws) -> String {
    let word = draws.pick(Lexicon.words)
    guard word.count > 2 else { return word }
    let length = 1 + draws.index(below: word.count - 1)
    return String(draws.chance(0.5) ? word.prefix(length) : word.suffix(length))
  }

  /// Common English words that are no words of the world.
  static let ordinaryWords = [
    "about", "above", "after", "again", "air", "always", "animal", "answer", "apple", "arm", "art", "autumn", "baby",
    "back", "bank", "bird", "boat", "body", "book", "bottle", "bread", "bridge", "brother", "bus", "cake", "car", "cat",
    "chair", "child", "city", "clock", "cloud", "coat", "coffee", "cold", "cook", "corner", "country", "cow", "dance",
    "day", "deep", "doctor", "dog", "door", "dream", "dress", "dust", "early", "earth", "east", "egg", "engine",
    "evening", "eye", "face", "family", "farm", "fast", "father", "field", "finger", "fire", "fish", "floor", "flower",
    "food", "foot", "forest", "friend", "fruit", "garden", "girl", "glass", "grass", "great", "hair", "hand", "happy",
    "hat", "hill", "home", "horse", "hot", "house", "ice", "island", "jump", "key", "king", "kitchen", "lake", "lamp",
    "large", "leaf", "letter", "light", "little", "long", "machine", "man", "map", "market", "milk", "money", "morning",
    "mother", "mountain", "mouse", "music", "name", "new", "night", "north", "number", "ocean", "office", "old", "open",
    "paper", "park", "pen", "people", "piano", "plant", "plate", "queen", "quiet", "rain", "river", "road", "room",
    "run", "salt", "sand", "school", "sea", "seven", "sheep", "ship", "shoe", "sister", "sky", "sleep", "slow", "small",
    "snow", "song", "soup", "spoon", "spring", "stone", "street", "sugar", "summer", "sun", "table", "tall", "tea",
    "ten", "thing", "three", "time", "tower", "town", "train", "tree", "uncle", "under", "village", "voice", "walk",
    "wall", "warm", "water", "west", "wheel", "wind", "window", "winter", "woman", "wood", "word", "work", "world",
    "year", "young", "zebra",
  ]

  /// Common English words that are neither words of the world nor ordinary words above: kept for measuring.
  static let controlWords = [
    "acid", "actor", "angry", "award", "badge", "beach", "beard", "bell", "bench", "bike", "blood", "brain", "brush",
    "cabin", "calm", "camp", "candy", "cave", "chief", "coin", "crowd", "cup", "desk", "diary", "dirt", "duck", "eagle",
    "elbow", "empty", "fence", "flag", "fog", "fork", "fuel", "ghost", "giant", "glove", "goat", "gold", "guest",
    "habit", "honey", "hotel", "ivory", "jazz", "juice", "knee", "knife", "lion", "lock", "lunch", "magic",
    "mask", "metal", "nest", "noise", "nurse", "onion", "owl", "paint", "pilot", "pizza", "poet", "proud", "radio",
    "rapid", "robot", "roof", "rope", "scarf", "shark", "shirt", "skirt", "smoke", "sock", "steam", "storm", "tiger",
    "toast", "tooth", "truck", "uncut", "vase", "vivid", "wagon", "waist", "whale", "wool", "yacht",
  ]
}

// Embeddings, what is searched with them, and what conversations leave behind.
#pragma once

#include <chainmail/llm.hpp>
#include <chainmail/type_ids.hpp>
#include <chainmail/values.hpp>

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace chainmail {

// -- vectors ----------------------------------------------------------------------

/// Texts that want a vector each.
struct embed_request {
  std::vector<std::string> texts = {};
};

template <class Inspector>
bool inspect(Inspector& f, embed_request& x) {
  return f.object(x).fields(f.field("texts", x.texts));
}

/// Vectors of one dimension, row after row.
struct embeddings {
  uint32_t dimension = 0;
  /// size() times dimension.
  std::vector<float> numbers = {};
  token_usage usage = {};
  /// The model that made them, in the provider's words. Vectors of different models do not compare.
  std::string model = {};

  [[nodiscard]] size_t size() const { return dimension == 0 ? 0 : numbers.size() / dimension; }

  [[nodiscard]] std::span<const float> row(size_t index) const {
    return {numbers.data() + index * dimension, dimension};
  }
};

template <class Inspector>
bool inspect(Inspector& f, embeddings& x) {
  return f.object(x).fields(f.field("dimension", x.dimension), f.field("numbers", x.numbers),
      f.field("usage", x.usage), f.field("model", x.model));
}

// -- search -----------------------------------------------------------------------

/// Chooses documents by their metadata; an empty filter lets every document pass.
struct metadata_filter {
  /// All of these must be there, with exactly these values.
  std::map<std::string, std::string> equal = {};
};

template <class Inspector>
bool inspect(Inspector& f, metadata_filter& x) {
  return f.object(x).fields(f.field("equal", x.equal));
}

/// How to choose among the nearest.
struct search_options {
  /// At most this many documents. At least 1.
  uint32_t k = 4;
  metadata_filter filter = {};
  /// Maximal marginal relevance: of the `fetch_k` nearest, those that are near to the query and far
  /// from one another. 1 weighs nearness alone, 0 variety alone; negative: plain similarity.
  double mmr_lambda = -1;
  uint32_t fetch_k = 20;
};

template <class Inspector>
bool inspect(Inspector& f, search_options& x) {
  return f.object(x).fields(f.field("k", x.k), f.field("filter", x.filter),
      f.field("mmr_lambda", x.mmr_lambda), f.field("fetch_k", x.fetch_k));
}

/// What to retrieve.
struct retrieval_query {
  std::string text = {};
  /// At most this many documents. At least 1.
  uint32_t k = 4;
  /// Together with the retriever's own.
  metadata_filter filter = {};
};

template <class Inspector>
bool inspect(Inspector& f, retrieval_query& x) {
  return f.object(x).fields(
      f.field("text", x.text), f.field("k", x.k), f.field("filter", x.filter));
}

/// A document that was found.
struct scored_document {
  uint64_t id = 0;
  document found = {};
  /// Cosine similarity, from -1 to 1: more is nearer.
  double score = 0;
};

template <class Inspector>
bool inspect(Inspector& f, scored_document& x) {
  return f.object(x).fields(
      f.field("id", x.id), f.field("found", x.found), f.field("score", x.score));
}

/// The IDs that a vector index gave to documents.
struct document_ids {
  std::vector<uint64_t> ids = {};

  friend bool operator==(const document_ids&, const document_ids&) = default;
};

template <class Inspector>
bool inspect(Inspector& f, document_ids& x) {
  return f.object(x).fields(f.field("ids", x.ids));
}

/// The distinct texts that documents have under one metadata key, sorted.
struct metadata_texts {
  std::vector<std::string> texts = {};
};

template <class Inspector>
bool inspect(Inspector& f, metadata_texts& x) {
  return f.object(x).fields(f.field("texts", x.texts));
}

struct index_status {
  uint64_t documents = 0;
  /// 0 while there is no vector.
  uint32_t dimension = 0;
  /// Of the first vectors that had one; vectors of another are refused.
  std::string model = {};
  /// Every vector is looked at, so none is missed.
  bool is_exact = true;
  /// What was added or removed since it was last saved.
  bool has_unsaved_changes = false;
  /// What an interrupted run had left when the index was opened: documents without their vectors
  /// and vectors without their documents.
  uint64_t dropped_at_open = 0;
};

template <class Inspector>
bool inspect(Inspector& f, index_status& x) {
  return f.object(x).fields(f.field("documents", x.documents), f.field("dimension", x.dimension),
      f.field("model", x.model), f.field("is_exact", x.is_exact),
      f.field("has_unsaved_changes", x.has_unsaved_changes),
      f.field("dropped_at_open", x.dropped_at_open));
}

// -- memory -----------------------------------------------------------------------

/// What was said to the model, and what it answered.
struct conversation_turn {
  std::string human = {};
  std::string ai = {};

  friend auto operator<=>(const conversation_turn&, const conversation_turn&) = default;
};

template <class Inspector>
bool inspect(Inspector& f, conversation_turn& x) {
  return f.object(x).fields(f.field("human", x.human), f.field("ai", x.ai));
}

/// What is remembered of a conversation.
struct conversation {
  /// Of what is no longer in `turns`; empty when nothing was left out.
  std::string summary = {};
  /// Oldest first.
  std::vector<conversation_turn> turns = {};
};

template <class Inspector>
bool inspect(Inspector& f, conversation& x) {
  return f.object(x).fields(f.field("summary", x.summary), f.field("turns", x.turns));
}

} // namespace chainmail

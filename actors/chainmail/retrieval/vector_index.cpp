// Adding, removing and finding vectors.
#include <chainmail/errors.hpp>
#include <chainmail/prompts/utf8.hpp>
#include <chainmail/retrieval/dot_product.hpp>
#include <chainmail/retrieval/vector_graph.hpp>
#include <chainmail/retrieval/vector_index.hpp>

#include <caf/expected.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

namespace chainmail {

namespace {

/// Of a model, in an error: code points.
constexpr size_t longest_shown_model = 100;

bool is_better(const vector_match& x, const vector_match& y) {
  return x.score != y.score ? x.score > y.score : x.id < y.id;
}

/// The best k of what is offered.
class best_matches {
public:
  explicit best_matches(size_t k) : k_(k) {}

  void offer(const vector_match& x) {
    if (heap_.size() == k_) {
      if (!is_better(x, heap_.front()))
        return;
      std::pop_heap(heap_.begin(), heap_.end(), is_better);
      heap_.pop_back();
    }
    heap_.push_back(x);
    std::push_heap(heap_.begin(), heap_.end(), is_better);
  }

  std::vector<vector_match> take() {
    std::sort_heap(heap_.begin(), heap_.end(), is_better);
    return std::move(heap_);
  }

private:
  size_t k_;
  /// Its worst is in front.
  std::vector<vector_match> heap_;
};

/// 0 for a vector that has no direction: all zero, or not finite.
double length_of(std::span<const float> x) {
  double sum = 0;
  for (auto number : x)
    sum += double{number} * double{number};
  return std::isfinite(sum) ? std::sqrt(sum) : 0;
}

void append_unit(std::vector<float>& to, std::span<const float> x, double length) {
  for (auto number : x)
    to.push_back(static_cast<float>(double{number} / length));
}

} // namespace

vector_index::vector_index(size_t exact_up_to)
  : exact_up_to_(exact_up_to), content_(std::make_unique<content>()) {
}

vector_index::vector_index(vector_index&&) noexcept = default;
vector_index& vector_index::operator=(vector_index&&) noexcept = default;
vector_index::~vector_index() = default;

// -- what it holds ------------------------------------------------------------------------

size_t vector_index::size() const {
  return content_->ids.size() - content_->dead;
}

size_t vector_index::row_of(uint64_t id) const {
  const auto& ids = content_->ids;
  auto found = std::lower_bound(ids.begin(), ids.end(), id);
  if (found == ids.end() || *found != id)
    return none;
  auto row = static_cast<size_t>(found - ids.begin());
  return content_->is_alive[row] != 0 ? row : none;
}

bool vector_index::contains(uint64_t id) const {
  return row_of(id) != none;
}

std::vector<uint64_t> vector_index::ids() const {
  std::vector<uint64_t> result;
  result.reserve(size());
  for (size_t row = 0; row < content_->ids.size(); ++row)
    if (content_->is_alive[row] != 0)
      result.push_back(content_->ids[row]);
  return result;
}

// -- changing it --------------------------------------------------------------------------

caf::error vector_index::check(const embeddings& rows) const {
  const auto& have = *content_;
  if (rows.dimension == 0 || rows.numbers.size() % rows.dimension != 0)
    return invalid_input("vectors of " + std::to_string(rows.dimension) +
                         " numbers each cannot be " + std::to_string(rows.numbers.size()) +
                         " numbers together");
  if (!have.model.empty() && !rows.model.empty() && rows.model != have.model)
    return invalid_input("the index holds vectors of the model '" +
                         one_line(have.model, longest_shown_model) + "' and these are of '" +
                         one_line(rows.model, longest_shown_model) +
                         "', which do not compare; use that model, or index the documents again");
  if (have.dimension != 0 && rows.dimension != have.dimension)
    return invalid_input("the index holds vectors of " + std::to_string(have.dimension) +
                         " numbers and these have " + std::to_string(rows.dimension) +
                         "; use the same dimension, or index the documents again");
  for (size_t i = 0; i < rows.size(); ++i)
    if (length_of(rows.row(i)) == 0)
      return invalid_input("the vector with index " + std::to_string(i) +
                           " is all zeros or not finite, so it is near to nothing");
  return {};
}

caf::error vector_index::add(std::span<const uint64_t> ids, const embeddings& rows) {
  auto& have = *content_;
  if (ids.empty() && rows.numbers.empty())
    return {};
  if (auto error = check(rows))
    return error;
  if (ids.size() != rows.size())
    return invalid_input("there are " + std::to_string(ids.size()) + " IDs for " +
                         std::to_string(rows.size()) + " vectors");
  if (std::adjacent_find(ids.begin(), ids.end(), std::greater_equal<>{}) != ids.end() ||
      ids.front() <= have.last_id)
    return invalid_input("the IDs of new vectors must ascend, and be above those there were");
  if (ids.size() >= std::numeric_limits<uint32_t>::max() - have.ids.size())
    return invalid_input("an index holds no more than 4,294,967,294 vectors");
  if (have.model.empty())
    have.model = rows.model;
  have.dimension = rows.dimension;
  for (size_t i = 0; i < ids.size(); ++i)
    append_unit(have.vectors, rows.row(i), length_of(rows.row(i)));
  have.ids.insert(have.ids.end(), ids.begin(), ids.end());
  have.last_id = ids.back();
  have.is_alive.resize(have.ids.size(), 1);
  return {};
}

size_t vector_index::remove(std::span<const uint64_t> ids) {
  auto& have = *content_;
  size_t removed = 0;
  for (auto id : ids) {
    auto row = row_of(id);
    if (row == none)
      continue;
    have.is_alive[row] = 0;
    ++have.dead;
    ++removed;
    if (have.graph && row < have.graph->size())
      have.graph->remove(static_cast<uint32_t>(row));
  }
  if (have.dead > have.ids.size() / 2)
    drop_dead_rows();
  return removed;
}

size_t vector_index::unlinked() const {
  const auto& have = *content_;
  if (have.ids.size() <= exact_up_to_)
    return 0;
  return have.ids.size() - (have.graph ? have.graph->size() : 0);
}

void vector_index::link(size_t most) {
  auto& have = *content_;
  for (most = std::min(most, unlinked()); most > 0; --most) {
    if (!have.graph)
      have.graph = std::make_unique<vector_graph>(have.vectors, have.dimension);
    auto row = have.graph->size();
    have.graph->add();
    if (have.is_alive[row] == 0)
      have.graph->remove(static_cast<uint32_t>(row));
  }
}

void vector_index::drop_dead_rows() {
  auto old = std::exchange(content_, std::make_unique<content>());
  auto& have = *content_;
  have.last_id = old->last_id;
  if (old->dead == old->ids.size())
    return;
  have.model = old->model;
  have.dimension = old->dimension;
  for (size_t row = 0; row < old->ids.size(); ++row) {
    if (old->is_alive[row] == 0)
      continue;
    have.ids.push_back(old->ids[row]);
    have.vectors.insert(have.vectors.end(), old->row(row), old->row(row) + old->dimension);
  }
  have.is_alive.resize(have.ids.size(), 1);
}

// -- searching ----------------------------------------------------------------------------

/// At unit length.
caf::expected<std::vector<float>> vector_index::prepare(std::span<const float> query) const {
  auto length = length_of(query);
  if (length == 0)
    return invalid_input("the query's vector is all zeros or not finite, so nothing is near to it");
  if (content_->dimension != 0 && query.size() != content_->dimension)
    return invalid_input("the query's vector has " + std::to_string(query.size()) +
                         " numbers and those of the index have " +
                         std::to_string(content_->dimension) +
                         "; embed queries as the documents were embedded");
  std::vector<float> result;
  append_unit(result, query, length);
  return result;
}

caf::expected<std::vector<vector_match>> vector_index::nearest(
    std::span<const float> query, size_t k) const {
  const auto& have = *content_;
  auto unit = prepare(query);
  if (!unit)
    return std::move(unit.error());
  k = std::min(k, size());
  if (k == 0)
    return std::vector<vector_match>{};
  best_matches best{k};
  auto offer = [&](size_t row) {
    best.offer({have.ids[row], dot_product(unit->data(), have.row(row), have.dimension)});
  };
  size_t from = 0;
  if (have.graph) {
    auto found = have.graph->nearest(unit->data(), k);
    if (found.size() == k) {
      for (auto row : found)
        offer(row);
      from = have.graph->size();
    }
  }
  for (size_t row = from; row < have.ids.size(); ++row)
    if (have.is_alive[row] != 0)
      offer(row);
  return best.take();
}

caf::expected<std::vector<vector_match>> vector_index::nearest_of(
    std::span<const uint64_t> allowed, std::span<const float> query, size_t k) const {
  const auto& have = *content_;
  auto unit = prepare(query);
  if (!unit)
    return std::move(unit.error());
  k = std::min(k, allowed.size());
  if (k == 0)
    return std::vector<vector_match>{};
  best_matches best{k};
  for (auto id : allowed)
    if (auto row = row_of(id); row != none)
      best.offer({id, dot_product(unit->data(), have.row(row), have.dimension)});
  return best.take();
}

std::vector<vector_match> vector_index::diverse(
    const std::vector<vector_match>& found, size_t k, double lambda) const {
  const auto& have = *content_;
  struct candidate {
    vector_match match;
    const float* vector;
    /// To the nearest of those that were taken.
    double similarity = -1;
  };
  std::vector<candidate> left;
  for (const auto& match : found)
    if (auto row = row_of(match.id); row != none)
      left.push_back({match, have.row(row)});
  std::vector<vector_match> result;
  while (result.size() < k && !left.empty()) {
    auto worth = [&](const candidate& x) {
      auto score = double{x.match.score};
      return result.empty() ? score : lambda * score - (1 - lambda) * x.similarity;
    };
    auto best = std::max_element(left.begin(), left.end(),
        [&](const candidate& x, const candidate& y) { return worth(x) < worth(y); });
    auto taken = *best;
    left.erase(best);
    result.push_back(taken.match);
    for (auto& x : left)
      x.similarity =
          std::max(x.similarity, double{dot_product(taken.vector, x.vector, have.dimension)});
  }
  return result;
}

} // namespace chainmail

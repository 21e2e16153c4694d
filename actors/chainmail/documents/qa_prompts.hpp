// The prompts of the question-answering chains: chainmail's words, LangChain's variables.
#pragma once

#include <string_view>

namespace chainmail::prompts {

// Each ends in the cue that models know from LangChain's prompts of the same kind, and stands alone:
// pass another prompt_template in qa_options to replace it.

// -- context and question to an answer ------------------------------------------------------

inline constexpr std::string_view qa_stuff =
    R"(Use only the text below to answer the question that follows it. If the text does not hold the answer, say that you don't know; do not make one up.

{context}

Question: {question}
Helpful Answer:)";

inline constexpr std::string_view qa_map =
    R"(Here is one part of a long document. Copy out, word for word, whatever in it helps to answer the question. If nothing does, write "None."

{context}

Question: {question}
Relevant text, if any:)";

inline constexpr std::string_view qa_combine =
    R"(Given extracts from a long document and a question, write a final answer from the extracts alone. If they do not hold the answer, say that you don't know; do not make one up.

QUESTION: In which year did the harbour light of Kallen first burn?
=========
Content: The keeper's house at Kallen was built in 1861, three years before the tower.

Content: None.

Content: Kallen's harbour light was lit for the first time in 1864 and burned whale oil.
=========
FINAL ANSWER: Kallen's harbour light first burned in 1864.

QUESTION: Who paid for the tower?
=========
Content: The tower at Kallen stands on granite and is 31 metres high.

Content: None.
=========
FINAL ANSWER: I don't know.

QUESTION: {question}
=========
{summaries}
=========
FINAL ANSWER:)";

inline constexpr std::string_view qa_rerank =
    R"(Use only the text below to answer the question that follows it. If the text does not hold the answer, say so; do not make one up. After the answer give a score from 0 to 100 for how fully the text answers the question: 0 if it does not at all, 100 if nothing is left open. Keep to this form:

Question: [the question]
Helpful Answer In This Format:
[the answer]
Score: [a whole number from 0 to 100]

Example one:

Context:
---------
Apples are red, and some are green.
---------
Question: what colour are apples?
Helpful Answer In This Format:
red or green
Score: 95

Example two:

Context:
---------
It was night, and the witness had forgotten his glasses. He was not sure whether it was a sports car or a van.
---------
Question: what make was the car?
Helpful Answer In This Format:
a sports car or a van
Score: 40

Example three:

Context:
---------
Pears are yellow, and some are brown.
---------
Question: what colour are apples?
Helpful Answer In This Format:
This document does not answer the question
Score: 0

Begin!

Context:
---------
{context}
---------
Question: {question}
Helpful Answer In This Format:
)";

inline constexpr std::string_view qa_refine_initial =
    R"(Use only the text between the lines, and nothing that you know otherwise, to answer the question that follows it. If the text does not hold the answer, say that you don't know.

------------
{context_str}
------------

Question: {question}
Helpful Answer:)";

inline constexpr std::string_view qa_refine =
    R"(The original question is as follows: {question}
We have provided an existing answer: {existing_answer}
Below is more text, which may make the existing answer better, only if it is needed.

------------
{context_str}
------------

Write the existing answer anew with what this text adds. If it adds nothing, repeat the existing answer.
Refined Answer:)";

// -- the same with sources ------------------------------------------------------------------

/// How documents are written for the prompts below; the metadata needs a "source".
inline constexpr std::string_view document_with_source =
    "Content: {page_content}\nSource: {source}";

inline constexpr std::string_view sources_combine =
    R"(Given extracts of long documents and a question, write a final answer that names its sources ("SOURCES"). If the extracts do not hold the answer, say that you don't know; do not make one up. Always end with a line of "SOURCES".

QUESTION: In which year did the harbour light of Kallen first burn?
=========
Content: The keeper's house at Kallen was built in 1861, three years before the tower.
Source: houses.txt

Content: Kallen's harbour light was lit for the first time in 1864 and burned whale oil.
Source: lights-of-the-north.md
=========
FINAL ANSWER: Kallen's harbour light first burned in 1864.
SOURCES: lights-of-the-north.md

QUESTION: Who paid for the tower?
=========
Content: The tower at Kallen stands on granite and is 31 metres high.
Source: houses.txt
=========
FINAL ANSWER: I don't know.
SOURCES:

QUESTION: {question}
=========
{summaries}
=========
FINAL ANSWER:)";

inline constexpr std::string_view sources_refine_initial =
    R"(Use only the text between the lines, and nothing that you know otherwise, to answer the question that follows it, and end with a line "SOURCES: " that names the source of what you used. If the text does not hold the answer, say that you don't know and leave the sources empty.

------------
{context_str}
------------

Question: {question}
Helpful Answer:)";

inline constexpr std::string_view sources_refine =
    R"(The original question is as follows: {question}
We have provided an existing answer: {existing_answer}
Below is more text, with its source, which may make the existing answer better, only if it is needed.

------------
{context_str}
------------

Write the existing answer anew with what this text adds, and end with a line "SOURCES: " that names every source of what it says. If it adds nothing, repeat the existing answer.
Refined Answer:)";

// -- retrieval over a conversation ----------------------------------------------------------

inline constexpr std::string_view condense_question =
    R"(Given the conversation below and a follow-up, put the follow-up into a question that can be understood without the conversation, in the follow-up's language.

Chat History:
{chat_history}
Follow Up Input: {question}
Standalone question:)";

// -- summaries ------------------------------------------------------------------------------

inline constexpr std::string_view summarize =
    R"(Write a short summary of the text in quotation marks.

"{text}"

CONCISE SUMMARY:)";

inline constexpr std::string_view summarize_refine =
    R"(Your task is a final summary of a long text.
We have provided an existing summary up to a certain point: {existing_answer}
Below is more of the text, which may make the existing summary better, only if it is needed.

------------
{text}
------------

Write the existing summary anew with what this text adds. If it adds nothing, repeat the existing summary.
Refined Summary:)";

} // namespace chainmail::prompts

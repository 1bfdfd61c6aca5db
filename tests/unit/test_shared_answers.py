"""Answers that several callers share for a while."""

import asyncio

import pytest

from rolevend.shared_answers import SharedAnswers


class Source:
    """Counts the questions, and answers when it may."""

    def __init__(self) -> None:
        self.questions = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.now = 0.0
        self.answers: SharedAnswers[str, int] = SharedAnswers(2.0, 2, lambda: self.now)

    async def ask(self) -> int:
        self.questions += 1
        number = self.questions
        await self.may_answer.wait()
        return number

    async def fail(self) -> int:
        self.questions += 1
        raise ValueError("no answer")


async def test_callers_at_once_share_one_question_also_if_the_first_is_cancelled():
    source = Source()
    source.may_answer.clear()
    first, *others = (asyncio.create_task(source.answers.get("one", source.ask)) for _ in range(3))
    await asyncio.sleep(0)
    first.cancel()
    source.may_answer.set()

    assert await asyncio.gather(*others) == [1, 1]


async def test_an_answer_holds_from_its_question_on():
    source = Source()
    assert await source.answers.get("one", source.ask) == 1
    source.now = 1.9
    assert await source.answers.get("one", source.ask) == 1
    source.now = 2.0
    assert await source.answers.get("one", source.ask) == 2


async def test_a_failure_is_not_used_again():
    source = Source()
    with pytest.raises(ValueError, match="no answer"):
        await source.answers.get("one", source.fail)
    assert await source.answers.get("one", source.ask) == 2


async def test_the_oldest_answer_is_removed_where_there_are_too_many():
    source = Source()
    for key in ("one", "two", "three"):
        await source.answers.get(key, source.ask)

    assert await source.answers.get("three", source.ask) == 3
    assert await source.answers.get("one", source.ask) == 4

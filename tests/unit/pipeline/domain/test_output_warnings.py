from pipeline.domain.output_warnings import (
    MAX_DETAIL,
    SENTENCES,
    OutputWarning,
    WarningCode,
    one_per_code,
    reported_warning,
    warning_documents,
    warning_rows,
)


def test_every_code_has_a_sentence_of_its_own() -> None:
    assert set(SENTENCES) == set(WarningCode)
    assert len(set(SENTENCES.values())) == len(WarningCode)
    assert all(sentence.endswith(".") for sentence in SENTENCES.values())


def test_a_code_that_we_do_not_know_is_kept_as_a_difference() -> None:
    reported = reported_warning("captions_burnt_in", "en" * MAX_DETAIL)
    assert reported.code is WarningCode.OUTPUT_DIFFERS
    assert reported.detail.startswith("captions_burnt_in: en")
    assert len(reported.detail) == MAX_DETAIL


def test_each_code_is_said_once_in_the_order_of_the_codes() -> None:
    found = [
        OutputWarning(WarningCode.HDR_CONVERTED, "pq"),
        OutputWarning(WarningCode.SOUND_DOWNMIXED, "6 to 2"),
        OutputWarning(WarningCode.HDR_CONVERTED, "hlg"),
    ]
    assert one_per_code(found) == (found[1], found[0])


def test_readers_get_code_and_sentence_of_what_is_stored() -> None:
    rows = warning_rows([OutputWarning(WarningCode.SOUND_LEFT_OUT, "ac4")])
    assert rows == [{"code": "sound_left_out", "detail": "ac4"}]
    assert warning_documents(rows) == [
        {"code": "sound_left_out", "message": SENTENCES[WarningCode.SOUND_LEFT_OUT]}
    ]

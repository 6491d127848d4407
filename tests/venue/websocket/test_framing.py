"""Frames as we write them are those that the WebSocket library would write."""

from hypothesis import example, given
from hypothesis import strategies as st
from websockets.protocol import Protocol, Side

from kalshiflow.venue.websocket.framing import framed

EDGES = [0, 1, 125, 126, 127, 1023, 1024, 65_535, 65_536, 70_000]


@given(st.lists(st.one_of(st.sampled_from(EDGES), st.integers(0, 2_000)), max_size=6))
@example(EDGES)
def test_a_run_of_frames_is_byte_for_byte_the_librarys(lengths: list[int]) -> None:
    texts = [b"x" * length for length in lengths]
    library = Protocol(Side.SERVER)
    for text in texts:
        library.send_text(text)

    assert framed(texts) == b"".join(library.data_to_send())

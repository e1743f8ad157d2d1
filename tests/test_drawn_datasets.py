"""The drawn faces are good enough for the pipeline: without this, half of the other tests mean nothing."""

import dataclasses

import dlib
import numpy as np

from drawn_datasets import face, people, scene


def test_dlib_finds_the_drawn_faces_where_they_are() -> None:
    detect = dlib.get_frontal_face_detector()
    found = [detect(face(person).copy()) for person in people(60)]
    right = [len(boxes) == 1 and 80 < boxes[0].width() < 140 for boxes in found]
    centres = [
        (boxes[0].center().x, boxes[0].center().y) for boxes, ok in zip(found, right, strict=True) if ok
    ]
    assert np.mean(right) >= 0.95
    assert np.abs(np.array(centres) - (100, 110)).max() < 20


def test_a_scene_shows_as_many_faces_as_people() -> None:
    detect = dlib.get_frontal_face_detector()
    for count in range(3):
        assert len(detect(scene(*people(count)))) == count


def test_the_same_person_is_drawn_the_same_and_labels_change_the_picture() -> None:
    someone = people(1)[0]
    face.cache_clear()
    first = face(someone).copy()
    face.cache_clear()
    assert np.array_equal(face(someone), first)
    for change in ({"age": 80}, {"gender": "female"}, {"expression": "happy"}, {"seed": 1}):
        other = face(dataclasses.replace(someone, **change))
        assert np.abs(other.astype(int) - first).mean() > 0.3, change

"""Every English text of the page; a translation is a copy of this file in another language.

Criteria, their values and definitions come from :mod:`dermquery.data.checklist`, diagnoses from
:mod:`dermquery.answer.words`, and messages about a bad image, text or filter from the code that raises them.
The page fills in the curly braces by name.
"""

from __future__ import annotations

from typing import Final

LANGUAGE: Final = "en-GB"

# Frame
TITLE = "dermquery"
SUBTITLE = "Case search for skin cancer"
NAV = "Pages"
NAV_SEARCH = "Search"
NAV_BASE = "Case base"
NAV_ADD = "Add cases"
SKIP = "Skip to the results"
THEME = "Light or dark"
SIGN_OUT = "Sign out"
SIGNED_IN = "Signed in as {name}"
BASE_LINE = "{count} cases · model {model}"
RESEARCH = "Research use only. Not a medical device."
FOOTER = "A hit is a case that looks alike. It is no diagnosis, and a share of the hits is no probability."
VERSION = "dermquery {version}"
LOST = "The connection to the server was lost; it is being tried again."

# Query
QUERY = "Query"
IMAGE = "Dermoscopic image"
IMAGE_DROP = "Drop, paste or choose an image"
IMAGE_CHOOSE = "Choose image"
IMAGE_CAMERA = "Camera"
IMAGE_OTHER = "Change"
IMAGE_LOADING = "The image is being checked…"
IMAGE_ALT = "Dermoscopic image of the query"
IMAGE_FORMATS = "JPEG, PNG, TIFF, WebP or BMP, up to {megabytes} MB. Kept in memory for 30 minutes, for you only."
IMAGE_REMOVE = "Remove"
IMAGE_FAILED = "The image could not be sent; check the connection and choose it again."
IMAGE_TOO_LARGE = "The image has {size} MB and the limit is {limit} MB; make it smaller."
IMAGE_REFUSED = "The server did not take the image ({status}); load the page again."
TURN_LEFT = "Turn left"
TURN_RIGHT = "Turn right"
CROP = "Crop"
CROP_OFF = "Whole image"
CROP_BOX = "Part of the image that is searched for. Arrow keys move it, Shift and arrow keys change its size."
CROP_HANDLE = "Drag to change the size"
IMAGE_EXPIRED = (
    "The image of this query is not kept any more, or somebody else chose it: images stay in the server's memory for "
    "30 minutes, and only for who chose them. Everything else of the query is here; choose the image once more."
)
LIKE_TITLE = "More like case {case_id}"
LIKE_HINT = "Searched with this case's image and findings, and the words given here are not used."
LIKE_STOP = "Back to my own query"
TEXT = "Free text"
TEXT_PLACEHOLDER = "For example: atypical network, irregular streaks, no veil"
TEXT_READ = "Read: {findings}."
CHECKLIST = "Seven-point checklist"
CHECKLIST_CLEAR = "Clear"
NOT_GIVEN = "–"
NOT_GIVEN_SPOKEN = "not given"
MAJOR = "2 points if suspicious"
MINOR = "1 point if suspicious"
SCORE = "score {score}"
SCORE_NONE = "no score yet"
SCORE_HIGH = "Of the criteria given. Three or more: excision is usually advised (Argenziano 1998)."
SCORE_LOW = "Of the criteria given. Excision is usually advised from three (Argenziano 1998)."
PRESETS = "Presets"
EXAMPLES = "Examples from the base"
EXAMPLE = "Search with case {case_id}, {diagnosis}"
FILTERS = "Which cases may be found"
FILTERS_SET = "{n} set"
FILTER_ANY = "Any"
FILTER_COUNT = "{value} ({count})"
AGE_FROM = "Age from"
AGE_TO = "Age to"
DATE_FROM = "Taken from"
DATE_TO = "Taken until"
WITHOUT_PATIENT = "Leave out patient"
WITHOUT_LESION = "Leave out lesion"
WITHOUT_HINT = "If the query shows a patient of this base, name it here, so that it is not found by itself."
MUST = "Findings that a case must have, as they were recorded."
SEARCH = "Search"
SEARCHING = "Searching…"
CLEAR_ALL = "New query"
EMPTY_QUERY = "Give an image, words or a criterion first."

PRESET_TERMS: dict[str, dict[str, str]] = {
    "Atypical network and blue-whitish veil": {"pigment_network": "atypical", "blue_whitish_veil": "present"},
    "Irregular streaks and globules": {"streaks": "irregular", "dots_and_globules": "irregular"},
    "Regression": {"regression_structures": "combinations"},
    "Atypical vessels": {"vascular_structures": "linear irregular"},
    "Regular network and globules": {"pigment_network": "typical", "dots_and_globules": "regular"},
    "Starburst": {"streaks": "regular", "pigmentation": "diffuse regular"},
}

# Results
RESULTS = "Results"
START_TITLE = "Show what you see"
START = (
    "Give a dermoscopic image, words, criteria of the seven-point checklist, or all of them together. The answer is "
    "the most similar cases of this base, each with its diagnosis and with what it shares with the query."
)
START_KEYS = "Keys: / for the text, Ctrl and Enter to search, ← → between hits, Enter to compare, Esc to close."
FOUND = "{n} most similar of {candidates} cases"
FOUND_ONE = "1 most similar of {candidates} cases"
FOUND_NONE = "No case satisfies the filter"
FOUND_NONE_HINT = "Loosen what is set under “Which cases may be found”, and search again."
FILTER_LINE = "Only cases with {conditions}."
EXCLUDED = "Left out, so that nothing finds itself: {what}."
EXCLUDED_CASE = "case {ids}"
EXCLUDED_LESION = "lesion {ids}"
EXCLUDED_PATIENT = "patient {ids}"
BASE_IS_EMPTY = "The base holds no case yet; add some first."
BASE_IS_READ_ONLY = (
    "This base is of an earlier version: it can be searched, but not changed. Its operator can upgrade it "
    "(dermquery base upgrade)."
)
BASE_IS_BUSY = "Another process writes to the base now; try again in a moment."
BASE_IS_FULL = "The base cannot be written to; tell who runs this server. Nothing was added."
IMAGES_UNREACHABLE = "The place where the base keeps its images cannot be reached now; try again later."
FAILED = "The search failed"
FAILED_UNEXPECTED = (
    "Something went wrong that should not; the server's log has it. Search again, or tell who runs the server."
)
WARNING = "Warning"
WEIGHTS = "What counts"
LAMBDA = "Local weight λ"
LAMBDA_ENDS = ("whole image", "regions")
TOP_K = "Hits"
RANK = "Rank {rank}"
SCORE_OF_HIT = "Score"
SHARED = "Shared with the query"
DIFFERING = "Different from the query"
LIKELY = "{phrase} {percent}?"
LIKELY_HINT = "Not recorded; this is how likely the model finds it by the image."
ASKED = "the query says {value}"
NOT_SHARED = "None of the query's criteria was recorded"
COMPARE_HIT = "Compare"
COMPARE_NAME = "Compare the query with case {case_id}, rank {rank}, {diagnosis}"
MORE = "More like this"
MORE_NAME = "More cases like {case_id}"
MARK = "Relevant?"
MARK_NAME = "Is case {case_id} relevant?"
RELEVANT = "Relevant"
RELEVANT_NAME = "Case {case_id} is relevant"
IRRELEVANT = "Not relevant"
IRRELEVANT_NAME = "Case {case_id} is not relevant"
MARKS = "{relevant} relevant, {irrelevant} not relevant"
MARKS_HINT = "Searching again moves the query towards the relevant cases and away from the others (Rocchio)."
MARKS_SEARCH = "Search again with marks"
MARKS_CLEAR = "Clear marks"
MARKS_USED = "The query was moved by {n} marked cases."
SHARES = "Diagnoses found, beside the base"
SHARES_HINT = (
    "A diagnosis that is frequent in the base is frequent among the hits as well. Read the two columns together; "
    "neither is a probability."
)
SHARES_DIAGNOSIS = "Diagnosis"
SHARES_HITS = "These {n} hits"
SHARES_BASE = "All {n} cases"
SHARE = "{n} ({percent:.0f} %)"
CASE_ALT = "Dermoscopic image of case {case_id}, {diagnosis}"
IMAGE_MISSING = "Image not available"

# Take away
TAKE = "Take away"
ANSWER_EXPIRED = "This answer is not kept any more; search again."
TAKE_PDF = "Report (PDF)"
TAKE_HTML = "Report (HTML)"
TAKE_CSV = "Hits (CSV)"
TAKE_JSON = "Hits (JSON)"
TAKE_LINK = "Copy link"
TAKE_LINK_DONE = "Link copied. It restores words, criteria, filter and λ; the image for 30 minutes and only for you."

# Compare
COMPARE = "Compare query and case"
COMPARE_QUERY = "Query"
COMPARE_CASE = "Case {case_id}"
COMPARE_OTHER = "Case"
COMPARE_PREVIOUS = "Previous hit"
COMPARE_NEXT = "Next hit"
COMPARE_CLOSE = "Close"
COMPARE_NO_IMAGE = "The query has no image"
ZOOM_IN = "Zoom in"
ZOOM_OUT = "Zoom out"
ZOOM_RESET = "Whole image"
ZOOM_HINT = "Both images move together: wheel or + and − zoom, dragging or arrow keys move, 0 shows the whole image."
ZOOM_PANE = "{name}, zoomed with the other image"
OVERLAY = "Regions"
OVERLAY_NONE = "Off"
OVERLAY_ALL = "All levels"
OVERLAY_HINT = "Bright parts make up the local similarity at this level, the rest is dimmed."
OVERLAY_LOADING = "The regions are being computed…"
OVERLAY_FAILED = "The regions cannot be shown: the answer is not kept any more, or an image is missing. Search again."
CRITERIA_TABLE = "Criteria"
CRITERION = "Criterion"
SAME = "same"
DIFFERENT = "different"
NOT_RECORDED = "not recorded"
ABOUT_CASE = "About the case"

# Add cases
ADD = "Add cases"
ADD_NO_RIGHT = "Adding cases needs the right to write. Ask who runs this server, or sign in with another name."
ADD_ONE = "One case"
ADD_MANY = "Many cases: a table with images"
ADD_CASE_ID = "Case id"
ADD_CASE_ID_HINT = (
    "The id names the case in every answer; ids of lesion and patient keep their images from finding each other. All "
    "three are pseudonyms: no names, no dates of birth, no hospital numbers."
)
ADD_IMAGE_NEEDED = "Choose the image of the case first."
ADD_ID_NEEDED = "Give the case an id; hits are named by it."
ADD_REPLACES = "The base has a case {case_id} already. Add it again to replace it; this can be undone."
ADD_IMAGE_ALT = "Dermoscopic image of the new case"
ADD_SAVE = "Add case"
ADD_REPLACE = "Replace case"
ADD_DONE = "Case {case_id} was added."
ADD_UNDO = "Undo"
ADD_UNDONE = "Undone: the base is as it was before."
ADD_CHANGED = "Case {case_id} was changed or removed since, and is left alone."
ADD_MANY_HINT = (
    "Choose a folder, or a CSV table and its images together. The table needs the columns case_id and image (the name "
    "of the file); diagnosis, sex, age, site, lesion_id, patient_id and the seven criteria are read if they are there. "
    "Do not put names or dates of birth into it."
)
BUNDLE = {
    "folder": "Choose folder",
    "files": "Choose files or a ZIP",
    "chosen": "{table} and {n} images",
    "start": "Check and add",
    "skip": "Leave these rows out and add the others",
    "no_table": "There must be one table (CSV, TSV or Parquet) among the files; there are {n}.",
    "no_images": "There is no image among the files.",
    "too_many": "More than {most} images at once: pack table and images into one ZIP file and choose that.",
    "lost": "The server did not answer; check the connection. What it reported as done is in the base.",
    "sending": "Sending: {percent} %",
    "queued": "Waiting",
    "running": "Adding",
    "done": "Done",
    "cancelled": "Stopped",
    "failed": "Failed",
    "undoing": "Taking back",
    "undone": "Taken back",
    "progress": "{done} of {total} cases",
    "counts": "{added} added, {updated} replaced, {unchanged} unchanged, {bad} left out",
    "repeated": "Images that the base has already, in the case in brackets: {n}, the first of them {pairs}.",
    "removed": "{n} cases were taken out again.",
    "cancel": "Stop",
    "undo": "Take back what was added",
}

# Base
BASE = "Case base"
BASE_CASES = "Cases"
BASE_MODEL = "Model"
BASE_VERSION = "Version"
BASE_HASH = "Artifact"
BASE_MORE_VALUES = "and {n} more values"
BASE_EMPTY = "The base holds too few cases for a map."
BASE_DESCRIBED = "Encoded with findings"
YES = "yes"
NO = "no"
BASE_COUNTS = "What it holds"
MAP = "Map of the encodings"
MAP_HINT = (
    "Each point is a case; near points have similar encodings. Two dimensions hold only a part of that, so "
    "read it as a sketch. Choose a point, or use the arrow keys, to see its case."
)
MAP_LOADING = "The map is being drawn…"
MAP_LABEL = "Map of {n} cases by diagnosis"
MAP_SAMPLE = "{n} of {total} cases"
MAP_HELD = "the two axes hold {percent} % of the variance"
MAP_TRAINED = "hollow: the model was trained on the image ({n} of these cases)"
MAP_UNTOLD = "the model does not say which images it was trained on"
MAP_FAILED = "The map cannot be drawn now; load the page again."
MAP_SHOWN = "shown"
MAP_HIDDEN = "hidden"
DUPLICATES = "Duplicates"
DUPLICATES_FIND = "Look for images that occur twice"
DUPLICATES_LOADING = "Images are being compared…"
DUPLICATES_NONE = "No image occurs twice."
DUPLICATES_MANY = "{n} groups of cases show the same image; the first {shown} are here."
DUPLICATES_FOUND = "{n} groups of cases show the same image."
DUPLICATES_TOO_MANY = "The base is large; run: dermquery base duplicates BASE"
DUPLICATE_EXACT = "the same file"
DUPLICATE_NEAR = "nearly the same picture"
DUPLICATE_CONFLICT = "recorded differently: {fields}"

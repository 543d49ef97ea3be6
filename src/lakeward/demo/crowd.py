"""What the demo's visitors are made of: names, companies, devices, and where they come from.

Nobody here is real: the addresses end in `.example`, the telephone numbers are those that are kept
free for fiction (555-01xx).
"""

from __future__ import annotations

from typing import Final

FIRST: Final = (
    "Ada",
    "Ben",
    "Carla",
    "Dev",
    "Elena",
    "Frank",
    "Grace",
    "Hugo",
    "Iris",
    "Jonas",
    "Kim",
    "Lena",
    "Marco",
    "Nadia",
    "Omar",
    "Petra",
    "Quinn",
    "Rosa",
    "Sam",
    "Tessa",
)
LAST: Final = (
    "Abbott",
    "Brandt",
    "Castillo",
    "Dunn",
    "Ferrari",
    "Gould",
    "Hartmann",
    "Ito",
    "Keller",
    "Lindqvist",
    "Moreau",
    "Nowak",
    "Okafor",
    "Park",
    "Reyes",
    "Singh",
)
TRADES: Final = (
    "Roofing",
    "Framing",
    "Plumbing",
    "Electric",
    "Concrete",
    "Painting",
    "Paving",
    "Drywall",
    "Flooring",
    "Landscape",
)
AGENTS: Final = {
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like "
    "Gecko) Version/17.5 Mobile/15E148 Safari/604.1": 38,
    "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/126.0.0.0 Mobile Safari/537.36": 24,
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/126.0.0.0 Safari/537.36": 22,
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/17.5 Safari/605.1.15": 10,
    "Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0": 6,
}
"""How often of a hundred: most contractors look from the truck."""
REFERRERS: Final = {
    "": 40,
    "https://search.example/": 28,
    "https://podcasts.example/episodes/the-schedule-is-the-business": 16,
    "https://news.example/builders": 10,
    "https://forum.example/t/software-for-small-crews": 6,
}
QUESTIONS: Final = (
    "Which partner should I talk to first?",
    "What does it cost to change our scheduling in the middle of a season?",
    "How do I get my foremen to use it?",
    "Two of us run everything. Where do we begin?",
    "What should I ask in the demo?",
    "How long until it pays for itself?",
)
REMARKS: Final = (
    "Clear and on time.",
    "Good fit, but the price came late.",
    "They had worked with crews of our size.",
    "I would have liked to see it with our own jobs.",
    "",
)
PROPOSITIONS: Final = (
    "We answer every lead within five minutes, day and night.",
    "We close the books by the fifth of the month.",
    "We find two skilled people a month, or there is no bill.",
)

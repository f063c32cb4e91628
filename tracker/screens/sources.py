"""The programs that the drawn editor shows: files of a harbour's booking site, as someone is writing them.

Rule 1: plain text only; nothing here is run.
"""

AVAILABILITY = '''"""Which berths are free, and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from harbour.berths import Berth, Boat
from harbour.bookings import Booking
from harbour.errors import BerthTooSmall, NotAvailable

KEEL_CLEARANCE_M = 0.4
STAY_DAYS_MAX = 28


@dataclass(frozen=True)
class Stay:
    """Half-open: the day of departure is free again."""

    arrival: date
    departure: date

    @property
    def nights(self) -> int:
        return (self.departure - self.arrival).days

    def overlaps(self, other: "Stay") -> bool:
        return self.arrival < other.departure and other.arrival < self.departure


def fits(boat: Boat, berth: Berth, tide_m: float = 0.0) -> bool:
    """Whether a boat can lie in a berth at low water."""
    if boat.length_m > berth.length_m or boat.beam_m > berth.beam_m:
        return False
    return boat.draught_m + KEEL_CLEARANCE_M <= berth.depth_m + tide_m


def free_berths(berths: list[Berth], bookings: list[Booking], stay: Stay, boat: Boat) -> list[Berth]:
    """Return the berths that are free for the whole stay, smallest first."""
    taken = {b.berth_id for b in bookings if b.stay.overlaps(stay) and not b.cancelled}
    fitting = [b for b in berths if b.id not in taken and fits(boat, b)]
    return sorted(fitting, key=lambda b: (b.length_m, b.jetty, b.number))


def price_cents(berth: Berth, stay: Stay, boat: Boat) -> int:
    """Price per metre and night; from the eighth night on a fifth less."""
    metres = max(boat.length_m, 6.0)
    full, reduced = min(stay.nights, 7), max(stay.nights - 7, 0)
    per_night = round(metres * berth.rate_cents)
    return full * per_night + reduced * per_night * 4 // 5


def suggest(berths: list[Berth], bookings: list[Booking], stay: Stay, boat: Boat) -> Berth:
    """Pick the berth nearest to the harbour office.

    Raises:
        NotAvailable: with the first day on which one is free.
    """
    if stay.nights > STAY_DAYS_MAX:
        raise NotAvailable(f"A stay has at most {STAY_DAYS_MAX} nights.")
    found = free_berths(berths, bookings, stay, boat)
    if not found:
        later = Stay(stay.arrival + timedelta(days=1), stay.departure + timedelta(days=1))
        raise NotAvailable(later)
    return min(found, key=lambda b: b.distance_to_office_m)
'''

BERTH_MAP = """import { Berth, BerthState } from "./berths";
import { subscribe } from "../live/channel";

const COLOURS: Record<BerthState, string> = {
  free: "#3fb68b",
  held: "#f0b429",
  taken: "#d64545",
};

export class BerthMap {
  private selected: Berth | null = null;
  private readonly shapes = new Map<string, SVGRectElement>();

  constructor(private readonly svg: SVGSVGElement, berths: Berth[]) {
    for (const berth of berths) {
      this.shapes.set(berth.id, this.draw(berth));
    }
    subscribe("berths", (change) => this.update(change));
  }

  private draw(berth: Berth): SVGRectElement {
    const rect = document.createElementNS(this.svg.namespaceURI, "rect");
    rect.setAttribute("x", String(berth.x));
    rect.setAttribute("y", String(berth.y));
    rect.setAttribute("width", String(berth.beam * 4));
    rect.setAttribute("height", String(berth.length * 4));
    rect.setAttribute("fill", COLOURS[berth.state]);
    rect.setAttribute("tabindex", "0");
    rect.setAttribute("aria-label", `Berth ${berth.jetty}${berth.number}`);
    rect.addEventListener("click", () => this.select(berth));
    rect.addEventListener("keydown", (event) => {
      if (event.key === "Enter") this.select(berth);
    });
    return this.svg.appendChild(rect) as SVGRectElement;
  }

  select(berth: Berth): void {
    this.selected?.id && this.shapes.get(this.selected.id)?.classList.remove("selected");
    this.selected = berth;
    this.shapes.get(berth.id)?.classList.add("selected");
    this.svg.dispatchEvent(new CustomEvent("berth", { detail: berth }));
  }

  update(change: { id: string; state: BerthState }): void {
    const shape = this.shapes.get(change.id);
    if (!shape) return;
    shape.setAttribute("fill", COLOURS[change.state]);
    if (this.selected?.id === change.id && change.state === "taken") {
      this.selected = null;
      this.notify("This berth was just booked. Choose another one.");
    }
  }

  private notify(text: string): void {
    const status = document.querySelector<HTMLElement>("#status");
    if (status) status.textContent = text;
  }
}
"""

BOOKING_TESTS = '''"""Bookings: the rules that harbour masters asked for."""

from datetime import date

import pytest

from harbour.availability import Stay, fits, free_berths, price_cents, suggest
from harbour.errors import NotAvailable
from tests.builders import a_berth, a_boat, a_booking

MAY_1, MAY_4, MAY_8 = date(2026, 5, 1), date(2026, 5, 4), date(2026, 5, 8)


def test_a_berth_is_free_again_on_the_day_of_departure():
    booked = a_booking(berth="A4", stay=Stay(MAY_1, MAY_4))
    free = free_berths([a_berth("A4")], [booked], Stay(MAY_4, MAY_8), a_boat())
    assert [berth.id for berth in free] == ["A4"]


def test_a_deep_keel_does_not_fit_a_shallow_berth():
    assert not fits(a_boat(draught_m=2.1), a_berth(depth_m=2.3))
    assert fits(a_boat(draught_m=1.8), a_berth(depth_m=2.3))


@pytest.mark.parametrize(("nights", "cents"), [(1, 3_600), (7, 25_200), (8, 28_080)])
def test_the_eighth_night_costs_a_fifth_less(nights, cents):
    stay = Stay(MAY_1, date(2026, 5, 1 + nights))
    assert price_cents(a_berth(rate_cents=300), stay, a_boat(length_m=12)) == cents


def test_a_cancelled_booking_takes_no_berth():
    cancelled = a_booking(berth="B2", stay=Stay(MAY_1, MAY_8), cancelled=True)
    assert free_berths([a_berth("B2")], [cancelled], Stay(MAY_1, MAY_4), a_boat())


def test_a_full_harbour_says_when_it_is_not():
    booked = [a_booking(berth="A4", stay=Stay(MAY_1, MAY_8))]
    with pytest.raises(NotAvailable):
        suggest([a_berth("A4")], booked, Stay(MAY_1, MAY_4), a_boat())


def test_the_smallest_berth_that_fits_comes_first():
    berths = [a_berth("C1", length_m=18), a_berth("C2", length_m=12)]
    free = free_berths(berths, [], Stay(MAY_1, MAY_4), a_boat(length_m=11))
    assert [berth.id for berth in free] == ["C2", "C1"]
'''

STYLES = """:root {
  --water: #dcecf3;
  --deep: #1f7a8c;
  --sand: #f6f1e7;
  --ink: #14252f;
  --free: #3fb68b;
  --taken: #d64545;
  color-scheme: light dark;
}

.harbour {
  display: grid;
  grid-template-columns: minmax(20rem, 28rem) 1fr;
  min-height: 100dvh;
  background: var(--sand);
}

.berths li {
  display: flex;
  gap: 1rem;
  align-items: center;
  padding: 0.75rem 1rem;
  border-radius: 0.75rem;
  background: white;
  box-shadow: 0 1px 3px rgb(20 37 47 / 12%);
}

.berths li[aria-selected="true"] {
  outline: 3px solid var(--deep);
}

.price {
  margin-inline-start: auto;
  font-variant-numeric: tabular-nums;
  font-weight: 650;
}

.map rect {
  stroke: white;
  stroke-width: 2;
  transition: fill 200ms ease-out;
}

.map rect.selected {
  stroke: var(--ink);
  stroke-width: 4;
}

@media (max-width: 50rem) {
  .harbour { grid-template-columns: 1fr; }
  .map { order: -1; block-size: 45dvh; }
}

@media (prefers-color-scheme: dark) {
  :root { --sand: #10202a; --ink: #e6eef2; --water: #173442; }
}
"""

FILES = {
    "availability.py": AVAILABILITY,
    "berth-map.ts": BERTH_MAP,
    "test_bookings.py": BOOKING_TESTS,
    "harbour.css": STYLES,
}

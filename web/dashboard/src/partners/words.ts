// PowerConfidence in words: sources, categories, flags, and points of the score.

import { count, visible } from "../text";
import { day, moment } from "../unit";
import type { Source } from "./confidence";

export const SOURCES: Readonly<Record<Source, string>> = {
  employees: "Employees", customers: "Customers", demos: "Demos", consistency: "Message consistency",
};

/** What a witness of each source is called. */
const WITNESSES: Readonly<Record<string, readonly [one: string, several: string]>> = {
  employees: ["employee", "employees"], customers: ["customer", "customers"], demos: ["demo", "demos"], consistency: ["witness", "witnesses"],
  employee: ["employee", "employees"], customer: ["customer", "customers"], demo: ["demo", "demos"],
};

/** `3 employees`. */
export function witnesses(source: string, n: number): string {
  const [one, several] = WITNESSES[source] ?? ["witness", "witnesses"];
  return `${count(n)} ${n === 1 ? one : several}`;
}

const CATEGORIES: Readonly<Record<string, string>> = {
  recommend: "Would recommend", value: "Value for money", agreement: "Says what the CEO says",
};

/** A category of a form as a title. */
export function categoryOf(name: string): string {
  return CATEGORIES[name] ?? visible(name.charAt(0).toUpperCase() + name.slice(1).replaceAll("_", " "));
}

const FLAGS: Readonly<Record<string, string>> = {
  shared_device: "Answers from one device",
  shared_address: "Answers from one network address",
  near_duplicate_text: "Nearly the same text",
  burst: "Many answers within a short time",
  straight_lining: "One rating for everything",
  employee_as_customer: "A customer who may be an employee",
};

export function flagOf(kind: string): string {
  return FLAGS[kind] ?? visible(kind.replaceAll("_", " "));
}

/** Points of the score, as wide everywhere. */
export function points(value: number, digits = 1): string {
  return value.toFixed(digits);
}

/** Points above or below. */
export function pulled(value: number, digits = 2): string {
  const text = points(Math.abs(value), digits);
  return Number(text) === 0 ? text : `${value > 0 ? "+" : "−"}${text}`;
}

/** A moment in a zone, or the day that is told in its place. */
export function when(at: string, zone: string): string {
  return isDay(at) ? day(at) : moment(at, zone);
}

export function isDay(at: string): boolean {
  return /^\d{4}-\d\d-\d\d$/.test(at);
}

/** A share of a level, `90 %`. */
export function level(share: number): string {
  return `${Number((share * 100).toPrecision(4))} %`;
}

/** The end of an id, which is what differs: ids of one day begin alike. */
export function shortId(id: string): string {
  return id.length > 12 ? `…${visible(id.slice(-8))}` : visible(id);
}

/**
 * Forms: begun, fields left, refused, submitted, abandoned. Which fields, in which order, for how
 * long; of what is typed only whether there is something.
 */

import { around, ignored } from "./elements.ts";
import { emit, on } from "./events.ts";
import type { Fields } from "./options.ts";
import { ends } from "./pages.ts";
import { clock, cut } from "./words.ts";

type Field = HTMLInputElement;

interface Begun {
  since: number;
  order: Set<string>;
  refused: number;
}

const NO_FIELD = /^(hidden|submit|button|reset|image|fieldset|output)$/;
const nameOf = (field: Field): string => cut(field.name || field.id || field.type)!;

/** The fields of a form by name, and whether each is filled. */
const fieldsOf = (form: HTMLFormElement): Map<string, boolean> => {
  const found = new Map<string, boolean>();
  for (const field of form.elements as Iterable<unknown> as Iterable<Field>) {
    if (NO_FIELD.test(field.type) || ignored(field)) continue;
    const name = nameOf(field);
    // The value is looked at, and not kept.
    const filled = /^(check|rad)/.test(field.type) ? field.checked : field.value;
    found.set(name, !!filled || !!found.get(name));
  }
  return found;
};

export const forms = (): void => {
  const begun = new Map<HTMLFormElement, Begun>();
  let focused = 0; // when the field got the focus
  let changes = 0; // corrections in it

  const tell = (form: HTMLFormElement, action: string, fields?: Fields): void => {
    // Not form.name: a field of that name would be in its place.
    const name = form.getAttribute("name") || form.getAttribute("id") || "form";
    emit("form_interaction", { form: cut(name), action, ...fields });
  };
  const start = (form: HTMLFormElement): Begun => {
    let state = begun.get(form);
    if (!state) {
      begun.set(form, (state = { since: clock(), order: new Set(), refused: 0 }));
      tell(form, "start");
    }
    return state;
  };
  const finish = (form: HTMLFormElement, action: string, field?: string): void => {
    const { since, order } = start(form);
    const fields = [...fieldsOf(form).values()];
    begun.delete(form);
    tell(form, action, {
      field,
      field_order: [...order].slice(0, 100),
      fields_completed: fields.filter(Boolean).length,
      fields_total: fields.length,
      duration_ms: clock() - since,
    });
  };
  /** Listen to the fields of forms. */
  const hear = <E extends Event>(
    types: string,
    heard: (form: HTMLFormElement, field: Field, event: E) => unknown,
  ): void =>
    on(types, (event: E) => {
      const [field] = around(event) as Field[];
      const form = field!.form;
      if (form && !NO_FIELD.test(field!.type) && !ignored(field!)) heard(form, field!, event);
    });

  hear("focusin", () => {
    focused = clock();
    changes = 0;
  });
  hear("input change", (form, field, { inputType }: InputEvent) => {
    start(form).order.add(nameOf(field));
    if (/^delete/.test(inputType)) changes++;
  });
  hear("focusout", (form, field) => {
    if (begun.has(form)) {
      tell(form, "field", {
        field: nameOf(field),
        field_type: field.type,
        field_index: [...fieldsOf(form).keys()].indexOf(nameOf(field)),
        field_ms: clock() - focused,
        changes,
      });
    }
  });
  hear("invalid", (form, field) => {
    const state = start(form);
    // Every field that is refused says so in the same instant.
    if (clock() - state.refused > 99) tell(form, "error", { field: nameOf(field) });
    state.refused = clock();
  });
  on(
    "submit",
    ({ target }) => ignored(target as Element) || finish(target as HTMLFormElement, "submit"),
  );
  ends((over) => {
    if (over) begun.forEach(({ order }, form) => finish(form, "abandon", [...order].pop()));
  });
};

// What SQL can name, as `/api/schema` says it.

export interface SchemaColumn {
  name: string;
  type: string;
  doc: string;
  unit: string;
}

export interface Own {
  path: string;
  type: string;
  doc: string;
  unit: string;
  /** How a query says it. */
  sql: string;
}

export interface View {
  name: string;
  doc: string;
  columns?: SchemaColumn[];
  /** A view that has the same columns. */
  like?: string;
  own?: Own[];
}

export interface Schema {
  views: View[];
  functions: string[];
  table_functions: string[];
  keywords: string[];
}

export function columnsOf(schema: Schema, view: View): SchemaColumn[] {
  if (view.columns?.length) return view.columns;
  return schema.views.find((other) => other.name === view.like)?.columns ?? [];
}

/** What a query of Prometheus names, compared with what there is. Queries as ours are: no names in quotes, no braces in values of labels. */

/** Metrics by name, with their labels. */
export type Metrics = ReadonlyMap<string, readonly string[]>

/** Given by whoever scrapes. */
const ofTheTarget = ['job', 'instance']
const metricName = 'mtls_identity_\\w+'

/** `name{…}`, wherever it stands, with the names in its braces. */
export const selectorsOf = (query: string): readonly { name: string; selector: string; labels: readonly string[] }[] =>
  [...query.matchAll(new RegExp(`(${metricName})(?:\\{([^}]*)\\})?`, 'g'))].map(
    ([selector, name = '', matchers = '']) => ({
      name,
      selector,
      labels: [...matchers.matchAll(/(\w+)\s*(?:=~|!~|!=|=)\s*"/g)].map(([, label = '']) => label),
    }),
  )

/** The labels an aggregation keeps, of all aggregations of a query. */
const groupedBy = (query: string): readonly string[] =>
  [...query.matchAll(/\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)/g)].flatMap(([, labels = '']) =>
    labels.split(',').map((label) => label.trim()),
  )

/** What is wrong with a query, and with the labels that the text beside it speaks of: `{{code}}`, `{{ $labels.code }}`. */
export function faultsOf(query: string, text: string, metrics: Metrics): string[] {
  const selectors = selectorsOf(query)
  if (selectors.length === 0) return [`no metric in ${query}`]
  const known = new Set(ofTheTarget)
  const faults: string[] = []
  for (const { name, labels } of selectors) {
    const ofMetric = metrics.get(name)
    if (ofMetric === undefined) {
      faults.push(`no metric ${name}`)
      continue
    }
    for (const label of ofMetric) known.add(label)
    for (const label of labels) {
      if (![...ofTheTarget, ...ofMetric].includes(label)) faults.push(`${name} has no label ${label}`)
    }
  }
  const grouped = groupedBy(query)
  for (const label of grouped) if (!known.has(label)) faults.push(`nothing has the label ${label} of ${query}`)
  const spoken = [...text.matchAll(/\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}/g)].map(([, label = '']) => label)
  for (const label of spoken) if (!grouped.includes(label)) faults.push(`${query} has lost the label ${label}`)
  return faults
}

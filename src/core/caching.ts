import { ClientCertConfigError, nearest } from '../errors.js'

/** Header fields of an answer, as far as caching has something to say on them. */
export interface CachedResponse {
  getHeader(name: string): number | string | readonly string[] | undefined
  setHeader(name: string, value: string): unknown
  readonly headersSent?: boolean
}

/** What keeps shared caches from giving one client's answer to another: RFC 9440 §2.4, RFC 9111 §3. */
export interface CachePolicy {
  /** For refusals, which frameworks answer with header fields of their own only. */
  readonly headers: Readonly<Record<string, string>>
  apply(response: CachedResponse): void
}

const choices = ['no-store', 'vary', 'application']

/** Undefined where answers depend on no header field, or the application says that it sees to it. */
export function cachingFor(choice: unknown, fields: readonly string[]): CachePolicy | undefined {
  if (typeof choice !== 'string' || !choices.includes(choice)) {
    const near = typeof choice === 'string' ? nearest(choice, choices) : undefined
    throw new ClientCertConfigError(
      `clientCert: unknown caching ${JSON.stringify(choice)}.${near ? ` Did you mean "${near}"?` : ` Known: ${choices.join(', ')}`}`,
    )
  }
  if (fields.length === 0 || choice === 'application') return undefined
  if (choice === 'no-store') {
    return {
      headers: { 'Cache-Control': 'no-store' },
      apply: (response) => void response.setHeader('Cache-Control', 'no-store'),
    }
  }
  const vary = fields.join(', ')
  return {
    headers: { Vary: vary },
    apply: (response) => response.setHeader('Vary', joined(response.getHeader('Vary'), vary)),
  }
}

/** What stands in Vary already stays; `*` holds everything. */
function joined(before: number | string | readonly string[] | undefined, vary: string): string {
  const text = before === undefined ? '' : String(before)
  if (text.trim() === '*' || text.toLowerCase().includes(vary)) return text
  return text === '' ? vary : `${text}, ${vary}`
}

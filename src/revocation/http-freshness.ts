import type { IncomingHttpHeaders } from 'node:http'

/**
 * Until when an answer is fresh by its header fields (RFC 9111 §4.2), in milliseconds since 1970; undefined where they do not say. A freshness that is
 * malformed or contradictory is the shorter one: what is read here can only shorten.
 *
 * @param at when the answer was asked for
 */
export function freshUntil(headers: IncomingHttpHeaders, at: number): number | undefined {
  const lifetime = cacheControlLifetime(headers['cache-control']) ?? expiresLifetime(headers, at)
  if (lifetime === undefined) return undefined
  return at + Math.max(0, lifetime - ageOf(headers.age))
}

/** RFC 9111 §5.2.2: max-age in milliseconds; 0 where it must not be kept, or its max-age is malformed. s-maxage is for shared caches. */
function cacheControlLifetime(field: string | undefined): number | undefined {
  if (field === undefined) return undefined
  const directives = field.split(',').map((directive) => directive.trim().toLowerCase())
  if (directives.some((name) => /^no-(?:store|cache)(?:$|=)/.test(name))) return 0
  const ages = directives.filter((directive) => /^max-age(?:$|\s*=)/.test(directive))
  if (ages.length === 0) return undefined
  return Math.min(...ages.map((age) => seconds(/^max-age="?(\d+)"?$/.exec(age)?.[1])))
}

/** RFC 9111 §5.3: a malformed date, "0" above all, is one in the past. */
function expiresLifetime({ expires, date }: IncomingHttpHeaders, at: number): number | undefined {
  if (expires === undefined) return undefined
  const end = httpDate(expires)
  const start = date === undefined ? at : httpDate(date)
  return Number.isNaN(end) ? 0 : Math.max(0, end - (Number.isNaN(start) ? at : start))
}

/** RFC 9110 §5.6.7: all three forms are in GMT; asctime's does not say so. */
const httpDate = (text: string) => Date.parse(/GMT$/.test(text) ? text : `${text} GMT`)

const ageOf = (age: string | undefined) => (age === undefined ? 0 : seconds(/^(\d+)/.exec(age)?.[1]))

/** Milliseconds. RFC 9111 §1.2.2: what exceeds 2^31 is 2^31; what is not a number is none. */
const seconds = (digits: string | undefined) => (digits === undefined ? 0 : Math.min(Number(digits), 2 ** 31) * 1_000)

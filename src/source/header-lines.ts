import { deny } from '../errors.js'
import { limits } from '../limits.js'
import type { AnyRequest } from './source.js'

/** Lines by field, in the order the fields were asked for. A single line, as nearly all are, needs no array. */
export type FoundFields = readonly (string | readonly string[] | undefined)[]

/**
 * Makes what reads header fields of a request, in one pass over `rawHeaders`: `headers` joins repeated lines, so that a client's and a
 * proxy's would look like one. Throws where somebody else than the proxy may have had a say: an underscore or dot twin, which some proxies
 * pass on while they overwrite the real one, or a field's name in `Connection`, which makes some proxies drop what they set themselves
 * (CVE-2024-45410). Trailers and the pseudo-headers of HTTP/2 are not fields and are not looked at.
 */
export function fieldReader(names: readonly string[]): (request: AnyRequest) => FoundFields {
  const folded = names.map(withDashes)
  const lengths = new Set(names.map(({ length }) => length))
  const longest = Math.max(connection.length, ...lengths)
  // Most fields of a request are told from ours by their length.
  const isOfInterest = new Uint8Array(longest + 1)
  for (const length of [...lengths, connection.length]) isOfInterest[length] = 1
  const shortest = Math.min(...lengths)

  return (request) => {
    const { rawHeaders } = request
    checkComplete(request, names[0] as string)
    const found: (string | string[] | undefined)[] = new Array(names.length).fill(undefined)
    for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
      const field = rawHeaders[i] as string
      if (field.length > longest || isOfInterest[field.length] === 0) continue
      const lower = field.toLowerCase()
      const value = rawHeaders[i + 1] as string
      const index = names.indexOf(lower)
      if (index >= 0) add(found, index, value)
      else if (lower === connection && value.length >= shortest) checkConnection(value, names)
      else checkTwin(lower, names, folded)
    }
    return found
  }
}

const connection = 'connection'

function add(found: (string | string[] | undefined)[], index: number, value: string): void {
  const before = found[index]
  if (before === undefined) found[index] = value
  else if (typeof before === 'string') found[index] = [before, value]
  else before.push(value)
}

function checkConnection(value: string, names: readonly string[]): void {
  const options = value.split(',').map((option) => option.trim().toLowerCase())
  const name = names.find((each) => options.includes(each))
  if (name !== undefined)
    throw deny('ERR_CLIENT_CERT_HEADER_AMBIGUOUS', {
      header: name,
      cause: 'in-connection',
      reason: 'is listed in Connection',
    })
}

function checkTwin(lower: string, names: readonly string[], folded: readonly string[]): void {
  const index = folded.indexOf(withDashes(lower))
  if (index < 0) return
  throw deny('ERR_CLIENT_CERT_HEADER_AMBIGUOUS', {
    header: names[index] as string,
    cause: 'look-alike',
    reason: `came beside a look-alike, ${lower}`,
  })
}

/** Node drops fields above a limit in silence, and with them a second line or a look-alike: what may be incomplete is not read. */
function checkComplete({ rawHeaders, socket }: AnyRequest, name: string): void {
  const { maxHeadersCount } = (socket as { server?: { maxHeadersCount?: number | null } } | undefined)?.server ?? {}
  const maximum = Math.min(limits.headerFields, maxHeadersCount || limits.headerFields)
  if (rawHeaders.length / 2 < maximum) return
  throw deny('ERR_CLIENT_CERT_HEADER_AMBIGUOUS', {
    header: name,
    cause: 'too-many-fields',
    reason: `came among ${maximum} fields or more`,
  })
}

const withDashes = (field: string) => field.replace(/[_.]/g, '-')

/** The value of a field that may stand once only; undefined where it is missing or empty. */
export function single(name: string, lines: FoundFields[number]): string | undefined {
  if (typeof lines !== 'object') return lines === '' ? undefined : lines
  throw deny('ERR_CLIENT_CERT_HEADER_AMBIGUOUS', {
    header: name,
    cause: 'repeated',
    reason: `came ${lines.length} times`,
  })
}

/** All lines of a field that may stand several times. */
export const several = (lines: FoundFields[number]): readonly string[] =>
  lines === undefined ? [] : typeof lines === 'string' ? [lines] : lines

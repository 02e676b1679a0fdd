import { deny } from '../errors.js'
import { limits } from '../limits.js'
import type { AnyRequest } from './source.js'

/**
 * Every line of one header field, in order, from `rawHeaders`: `headers` joins repeated lines, so that a client's and a proxy's would look
 * like one. Throws where somebody else than the proxy may have had a say: an underscore or dot twin, which some proxies pass on while they
 * overwrite the real one, or the field's name in `Connection`, which makes some proxies drop what they set themselves (CVE-2024-45410).
 */
export function headerLines(request: AnyRequest, name: string): readonly string[] {
  const { rawHeaders } = request
  checkComplete(request, name)
  const lines: string[] = []
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const field = rawHeaders[i] as string
    if (field.length === name.length) {
      const lower = field.toLowerCase()
      if (lower === name) lines.push(rawHeaders[i + 1] as string)
      else if (withDashes(lower) === withDashes(name)) {
        throw deny('ERR_CLIENT_CERT_HEADER_AMBIGUOUS', {
          header: name,
          reason: `came beside a look-alike, ${lower}`,
        })
      }
    }
    // Not "else": X-SSL-Cert is as long as Connection.
    if (field.length === 10 && field.toLowerCase() === 'connection' && namesField(rawHeaders[i + 1] as string, name)) {
      throw deny('ERR_CLIENT_CERT_HEADER_AMBIGUOUS', { header: name, reason: 'is listed in Connection' })
    }
  }
  return lines
}

/** Node drops fields above a limit in silence, and with them a second line or a look-alike: what may be incomplete is not read. */
function checkComplete({ rawHeaders, socket }: AnyRequest, name: string): void {
  const { maxHeadersCount } = (socket as { server?: { maxHeadersCount?: number | null } } | undefined)?.server ?? {}
  const maximum = Math.min(limits.headerFields, maxHeadersCount || limits.headerFields)
  if (rawHeaders.length / 2 < maximum) return
  throw deny('ERR_CLIENT_CERT_HEADER_AMBIGUOUS', { header: name, reason: `came among ${maximum} fields or more` })
}

const withDashes = (field: string) => field.replace(/[_.]/g, '-')

const namesField = (connection: string, name: string) =>
  connection.split(',').some((option) => option.trim().toLowerCase() === name)

/** The value of a field that may stand once only; undefined where it is missing or empty. */
export function singleLine(request: AnyRequest, name: string): string | undefined {
  const [line, ...others] = headerLines(request, name)
  if (others.length > 0) {
    throw deny('ERR_CLIENT_CERT_HEADER_AMBIGUOUS', {
      header: name,
      reason: `came ${others.length + 1} times`,
    })
  }
  return line === undefined || line === '' ? undefined : line
}

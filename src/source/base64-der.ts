import { limits } from '../limits.js'
import { base64, DecodingError, describeOther, type HeaderDecoder, sequenceLength } from './decoding.js'

/** One certificate, base64 of its DER on one line: HAProxy, Caddy, Cloudflare, Azure, Cloud Foundry. */
export const base64Der: HeaderDecoder = {
  certificate: (value) => [base64(value, 'base64 of one DER certificate')],
}

/** HAProxy: `ssl_c_der`, and in a second header `ssl_c_chain_der`, the DER of the others one after the other. Captured: the end entity is not among them. */
export const haproxyDer: HeaderDecoder = {
  certificate: base64Der.certificate,
  chain: (lines) =>
    lines.filter((line) => line !== '').flatMap((line) => splitDer(base64(line, 'base64 of DER certificates'))),
}

/** OpenShift's router: HAProxy's `{+Q}` puts the base64 in double quotes. */
export const quotedBase64Der: HeaderDecoder = {
  certificate(value) {
    if (value === '""') return undefined
    if (value.length < 3 || !value.startsWith('"') || !value.endsWith('"')) {
      throw new DecodingError(`wants quoted base64 of one DER certificate${describeOther(value)}`)
    }
    return [base64(value.slice(1, -1), 'quoted base64 of one DER certificate')]
  },
}

/** Traefik from 2.9.2: the body of each PEM block without its lines, joined with commas, the end entity first. Captured. */
export const commaSeparated: HeaderDecoder = {
  certificate: (value) => members(value).map((member) => base64(member, 'base64 bodies of PEM joined with commas')),
}

/** Traefik until 2.9.1: each body went through Go's `url.QueryEscape` before they were joined. */
export const commaSeparatedEscaped: HeaderDecoder = {
  certificate: (value) =>
    members(value).map((member) => {
      const expected = 'query-escaped bodies of PEM joined with commas'
      if (/[+/=]/.test(member)) {
        throw new DecodingError(
          `wants ${expected}; the value is not escaped: Traefik 2.9.2 or later, preset: 'traefik'`,
        )
      }
      return base64(member.replaceAll('%2B', '+').replaceAll('%2F', '/').replaceAll('%3D', '='), expected)
    }),
}

function members(value: string): readonly string[] {
  const all = value.split(',', limits.presentedCertificates + 1)
  if (all.length > limits.presentedCertificates) {
    throw new DecodingError(`holds more than ${limits.presentedCertificates} certificates`)
  }
  return all
}

/** DER certificates one after the other. */
function splitDer(bytes: Uint8Array): readonly Uint8Array[] {
  const parts: Uint8Array[] = []
  let at = 0
  while (at < bytes.length) {
    if (parts.length === limits.presentedCertificates) {
      throw new DecodingError(`holds more than ${limits.presentedCertificates} certificates`)
    }
    const end = at + sequenceLength(bytes, at)
    if (end === at || end > bytes.length)
      throw new DecodingError('holds something that is no certificate, or is cut off')
    parts.push(bytes.subarray(at, end))
    at = end
  }
  return parts
}

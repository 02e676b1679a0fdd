import { limits } from '../limits.js'
import { base64, DecodingError, type HeaderDecoder, sequenceLength } from './decoding.js'

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

/**
 * OpenShift's router: `%{+Q}[ssl_c_der,base64]`. HAProxy's manual says that `{+Q}` puts it in double quotes, and `http-request set-header`
 * does so in no version: src/log.c, sess_build_logline() has no quotes for LOG_OPT_HTTP, from 1.5 to 3.x; captured from 2.6.12, which also
 * writes an empty value for none. Both are read, one quote alone is not.
 */
export const openshiftDer: HeaderDecoder = {
  certificate(value) {
    if (value === '""') return undefined
    const isQuoted = value.length > 2 && value.startsWith('"') && value.endsWith('"')
    return base64Der.certificate(isQuoted ? value.slice(1, -1) : value)
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

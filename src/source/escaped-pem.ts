import { limits } from '../limits.js'
import { DecodingError, describeOther, type HeaderDecoder, pemCertificates } from './decoding.js'

const opening = '-----BEGIN%20CERTIFICATE-----%0A'

/**
 * Percent-encoded PEM. Products differ in what they leave unescaped; `literal` names the characters beyond `A-Z a-z 0-9 - . _ ~` (RFC 3986
 * §2.3), in each of the forms the product is known to write. Decoding is the inverse of exactly that: what encodes to anything else than
 * the value is refused. Form decoding, which turns `+` into a space, would corrupt base64.
 */
function percentEncodedPem(variable: string, literal: readonly ('' | '+/' | '+/=')[], maximum: number): HeaderDecoder {
  return {
    certificate(value) {
      // PEM in any of these forms begins so; the beginning decides before anything is decoded.
      if (!value.startsWith(opening))
        throw new DecodingError(`wants ${variable}, percent-encoded PEM${describeOther(value)}`)
      const text = unescapePem(value)
      if (text === undefined || !literal.some((kept) => escapePem(text, kept) === value)) {
        throw new DecodingError(
          `wants ${variable}, percent-encoded PEM, and holds an escape that does not write${describeOther(value)}`,
        )
      }
      return pemCertificates(text, maximum)
    },
  }
}

/** The only characters of PEM that anybody escapes; a percent sign that is left over is one too many. */
function unescapePem(value: string): string | undefined {
  const text = value
    .replaceAll('%0A', '\n')
    .replaceAll('%20', ' ')
    .replaceAll('%2B', '+')
    .replaceAll('%2F', '/')
    .replaceAll('%3D', '=')
  return text.includes('%') ? undefined : text
}

function escapePem(text: string, kept: '' | '+/' | '+/='): string {
  let value = text.replaceAll('\n', '%0A').replaceAll(' ', '%20')
  if (kept !== '+/=') value = value.replaceAll('=', '%3D')
  if (kept === '') value = value.replaceAll('+', '%2B').replaceAll('/', '%2F')
  return value
}

/** nginx's `$ssl_client_escaped_cert`: one certificate. Captured. */
export const escapedPem = percentEncodedPem('$ssl_client_escaped_cert', [''], 1)

/**
 * X-Amzn-Mtls-Clientcert of AWS: everything the client sent, the end entity first. Its documentation says that `+`, `=` and `/` are left as
 * they are, and its example shows `%3D`: both are read, a mixture is not.
 */
export const awsPemChain = percentEncodedPem('the PEM of AWS', ['+/=', '+/'], limits.presentedCertificates)

/** X-Amzn-Mtls-Clientcert-Leaf: the same, one certificate. */
export const awsPem = percentEncodedPem('the PEM of AWS', ['+/=', '+/'], 1)

/** CloudFront-Viewer-Cert-Pem: one certificate. Which characters stay is not documented; each of the three ways is read, a mixture is not. */
export const cloudfrontPem = percentEncodedPem('the PEM of CloudFront', ['', '+/=', '+/'], 1)

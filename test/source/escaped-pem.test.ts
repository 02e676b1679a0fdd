import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { DecodingError } from '../../src/source/decoding.js'
import { escapedPem } from '../../src/source/escaped-pem.js'
import { formatPem } from '../../src/x509/pem.js'
import { bestTime, escapedByNginx } from './request.js'

const octets = Uint8Array.from([0xfb, 0xff, 0xbf, ...Array.from({ length: 61 }, (_, i) => i)])
const pem = formatPem('CERTIFICATE', octets)
const own = escapedByNginx(pem)
const hex = (list: readonly Uint8Array[] | undefined) => list?.map((der) => Buffer.from(der).toString('hex'))
const expected = [Buffer.from(octets).toString('hex')]

test('the sample has every character base64 can have that nginx escapes', () => {
  expect(own).toMatch(
    /^-----BEGIN%20CERTIFICATE-----%0A%2B%2F%2B%2F[A-Za-z0-9%]+%3D%3D%0A-----END%20CERTIFICATE-----%0A$/,
  )
})

describe('$ssl_client_escaped_cert', () => {
  test('is read as nginx writes it', () => {
    expect(hex(escapedPem.certificate(own))).toEqual(expected)
  })

  const refused: [name: string, value: string][] = [
    ['lower-case escapes', own.replace(/%[0-9A-F]{2}/g, (each) => each.toLowerCase())],
    ['one lower-case escape', own.replace('%0A', '%0a')],
    ['plus for space, as forms are encoded', own.replaceAll('%20', '+')],
    ['plus left as it is, as Apache and AWS do', own.replaceAll('%2B', '+')],
    ['slash left as it is', own.replaceAll('%2F', '/')],
    ['equals left as it is', own.replaceAll('%3D', '=')],
    ['a character escaped that need not be', own.replace('BEGIN', '%42EGIN')],
    ['a hyphen escaped', own.replace('-', '%2D')],
    ['everything escaped twice', own.replaceAll('%', '%25')],
    ['no escapes at all', pem],
    ['spaces for line breaks, as Apache does', pem.replaceAll('\n', ' ')],
    ['tabs for line breaks, as $ssl_client_cert arrives', pem.replaceAll('\n', '\t')],
    ['NUL behind', `${own}%00`],
    ['NUL inside', own.replace('%2B', '%00')],
    ['a byte above ASCII', own.replace('%2B', '%C3%A4')],
    ['an escape that is cut', own.slice(0, -1)],
    ['an escape that is none', own.replace('%2B', '%ZZ')],
    ['a percent sign alone', `${own}%`],
    ['trailing garbage', `${own}junk`],
    ['leading garbage', `junk${own}`],
    ['leading garbage on its line', `junk%0A${own}`],
    ['two certificates', own + own],
    ['another block behind', own + escapedByNginx(formatPem('X509 CRL', octets))],
    ['another label', escapedByNginx(formatPem('PRIVATE KEY', octets))],
    [
      'the trusted label of OpenSSL, whose content goes on after the certificate',
      escapedByNginx(formatPem('TRUSTED CERTIFICATE', octets)),
    ],
    ['no END line', own.slice(0, own.indexOf('-----END'))],
    ['base64url', own.replaceAll('%2B', '-').replaceAll('%2F', '_')],
    ['no content', '-----BEGIN%20CERTIFICATE-----%0A-----END%20CERTIFICATE-----%0A'],
    ['headers inside', own.replace('%0A', '%0AProc-Type%3A%204%2CENCRYPTED%0A%0A')],
    ['a space inside the base64', own.replace('%2B', '%20%2B')],
    ['a byte sequence of RFC 9440', `:${Buffer.from(octets).toString('base64')}:`],
    ['bare base64', Buffer.from(octets).toString('base64')],
    ['Apache’s placeholder', '(null)'],
    ['nothing', ''],
  ]
  for (const [name, value] of refused) {
    test(`is refused with ${name}`, () => {
      expect(value).not.toBe(own)
      expect(() => escapedPem.certificate(value)).toThrow(DecodingError)
    })
  }

  const hints: [value: string, hint: string][] = [
    [':MII=:', "preset: 'rfc9440'"],
    ['MIIB+', 'bare base64'],
    ['"MIIB+"', "is quoted base64: is this OpenShift? preset: 'openshift'"],
    [pem, 'not escaped'],
  ]
  for (const [value, hint] of hints) {
    test(`the operator is told what ${JSON.stringify(value.slice(0, 8))} looks like`, () => {
      expect(() => escapedPem.certificate(value)).toThrow(hint)
    })
  }
})

test('whatever octets go in, the same come out', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 400 }), (der) => {
      const [read] = escapedPem.certificate(escapedByNginx(formatPem('CERTIFICATE', der))) as [Uint8Array]
      expect(Buffer.compare(read, der)).toBe(0)
    }),
  )
})

test('H-14: hostile texts of 64 KiB take linear time', () => {
  const size = 65_536
  for (const text of [
    '%'.repeat(size),
    '%0A'.repeat(size / 3),
    '%2D'.repeat(size / 3),
    '-'.repeat(size),
    `${own.slice(0, 40)}${'A'.repeat(size)}`,
  ]) {
    const time = bestTime(() => expect(() => escapedPem.certificate(text)).toThrow(DecodingError))
    expect([text.slice(0, 20), time < 150]).toEqual([text.slice(0, 20), true])
  }
})

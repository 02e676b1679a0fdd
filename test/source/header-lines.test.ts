import { describe, expect, test } from '@jest/globals'
import { fieldReader, several, single } from '../../src/source/header-lines.js'
import type { AnyRequest } from '../../src/source/source.js'
import { requestWith, thrownBy } from './request.js'

const name = 'x-ssl-client-cert'
const headerLines = (request: AnyRequest, field: string) => several(fieldReader([field])(request)[0])
const singleLine = (request: AnyRequest, field: string) => single(field, fieldReader([field])(request)[0])
type Fields = readonly (readonly [string, string])[]

describe('lines of a field', () => {
  test('returns every line in order, whatever the case of the name', () => {
    const request = requestWith([
      ['X-SSL-Client-Cert', 'a'],
      ['Host', 'b'],
      ['x-ssl-client-CERT', 'c'],
    ])
    expect(headerLines(request, name)).toEqual(['a', 'c'])
  })

  test('returns nothing where the field is missing, and never a value for a name', () => {
    expect(headerLines(requestWith([['Host', name]]), name)).toEqual([])
    expect(headerLines(requestWith([['x-ssl-client-cert2', 'a']]), name)).toEqual([])
  })

  const ambiguous: [name: string, fields: Fields][] = [
    ['H-08 an underscore twin', [['X_SSL_Client_Cert', 'a']]],
    ['H-08 a twin with one underscore', [['X-SSL_Client-Cert', 'a']]],
    ['H-08 a twin with a dot', [['X-SSL.Client-Cert', 'a']]],
    [
      'H-08 a twin beside the true one',
      [
        ['X-SSL-Client-Cert', 'a'],
        ['x_ssl_client_cert', 'b'],
      ],
    ],
    ['H-08 an empty twin', [['x_ssl_client_cert', '']]],
    ['H-06 its name in Connection', [['Connection', 'X-SSL-Client-Cert']]],
    ['H-06 its name among others in Connection', [['Connection', 'close,\t x-ssl-CLIENT-cert , te']]],
    [
      'H-06 its name in a second Connection',
      [
        ['Connection', 'close'],
        ['CONNECTION', name],
      ],
    ],
  ]
  for (const [what, fields] of ambiguous) {
    test(`refuses ${what}`, () => {
      expect(thrownBy(() => headerLines(requestWith(fields), name)).code).toBe('ERR_CLIENT_CERT_HEADER_AMBIGUOUS')
      // With the true field there as well, which must not be served either.
      const both: Fields = [...fields, ['X-SSL-Client-Cert', 'true']]
      expect(thrownBy(() => headerLines(requestWith(both), name)).code).toBe('ERR_CLIENT_CERT_HEADER_AMBIGUOUS')
    })
  }

  test('H-06: refuses its name in Connection also where it is as long as "Connection"', () => {
    const fields: Fields = [
      ['X-SSL-Cert', 'a'],
      ['Connection', 'close, X-SSL-Cert'],
    ]
    expect(thrownBy(() => headerLines(requestWith(fields), 'x-ssl-cert')).code).toBe('ERR_CLIENT_CERT_HEADER_AMBIGUOUS')
    expect(
      headerLines(
        requestWith([
          ['X-SSL-Cert', 'a'],
          ['Connection', 'close'],
        ]),
        'x-ssl-cert',
      ),
    ).toEqual(['a'])
  })

  test('H-08: refuses the dash twin of a field that is configured with underscores', () => {
    for (const twin of ['SSL-CLIENT-CERT', 'ssl-client_cert', 'ssl.client.cert']) {
      const fields: Fields = [
        ['ssl_client_cert', 'a'],
        [twin, 'b'],
      ]
      expect(thrownBy(() => headerLines(requestWith(fields), 'ssl_client_cert')).code).toBe(
        'ERR_CLIENT_CERT_HEADER_AMBIGUOUS',
      )
    }
    expect(headerLines(requestWith([['SSL_CLIENT_CERT', 'a']]), 'ssl_client_cert')).toEqual(['a'])
  })

  test('does not mind a Connection that names others', () => {
    const fields: Fields = [
      ['Connection', 'close, x-ssl-client-cert-2, x-ssl'],
      ['X-SSL-Client-Cert', 'a'],
    ]
    expect(headerLines(requestWith(fields), name)).toEqual(['a'])
  })
})

describe('a field that may stand once', () => {
  test('is the one value; undefined where there is none or an empty one', () => {
    expect(singleLine(requestWith([['X-SSL-Client-Cert', 'a']]), name)).toBe('a')
    expect(singleLine(requestWith([['X-SSL-Client-Cert', '']]), name)).toBeUndefined()
    expect(singleLine(requestWith([]), name)).toBeUndefined()
  })

  test('H-07: refuses a second line, be it equal or empty', () => {
    for (const second of ['a', 'b', '']) {
      const fields: Fields = [
        ['X-SSL-Client-Cert', 'a'],
        ['x-ssl-client-cert', second],
      ]
      for (const each of [fields, [...fields].reverse()]) {
        const { code, detail } = thrownBy(() => singleLine(requestWith(each), name))
        expect([code, detail?.reason]).toEqual(['ERR_CLIENT_CERT_HEADER_AMBIGUOUS', 'came 2 times'])
      }
    }
  })
})

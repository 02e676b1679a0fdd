import { beforeAll, describe, expect, jest, test } from '@jest/globals'
import fc from 'fast-check'
import {
  type AnyRequest,
  ClientCertConfigError,
  createAuthenticator,
  forwardedHeader,
  proxyAddress,
} from '../../src/index.js'
import { limits } from '../../src/limits.js'
import { escapedPem } from '../../src/source/escaped-pem.js'
import { rfc9440 } from '../../src/source/rfc9440.js'
import { createTestPki, type TestCredential, type TestPki } from '../../src/testing.js'
import { bestTime, byteSequence, escapedByNginx, readNow, requestWith, thrownBy } from './request.js'

let pki: TestPki
let alice: TestCredential
beforeAll(async () => {
  pki = await createTestPki({ name: 'Lab' })
  alice = await pki.issue()
})

const from = proxyAddress('10.0.3.7')
const standard = forwardedHeader({ preset: 'rfc9440', from })
const nginx = forwardedHeader({ preset: 'nginx', from })
const hex = (der: Uint8Array | undefined) => der && Buffer.from(der).toString('hex')

describe('the four outcomes are four', () => {
  const own = () => byteSequence(alice.certificate.der)

  test('a certificate', () => {
    const reading = readNow(
      standard,
      requestWith([
        ['Client-Cert', own()],
        ['Client-Cert-Chain', byteSequence(alice.chain[0]?.der as Uint8Array)],
      ]),
    )
    expect(hex(reading.presented?.certificate)).toBe(hex(alice.certificate.der))
    expect(reading.presented?.intermediates.map(hex)).toEqual([hex(alice.chain[0]?.der)])
    expect(reading.presented?.via).toBe('proxy')
  })

  const absent: [name: string, fields: [string, string][]][] = [
    ['no field', []],
    ['an empty field', [['Client-Cert', '']]],
    ['::', [['Client-Cert', '::']]],
    ['an empty chain alone', [['Client-Cert-Chain', '']]],
    ['a field of another preset', [['X-SSL-Client-Cert', 'x']]],
  ]
  for (const [name, fields] of absent) {
    test(`absent: ${name}`, () => {
      const reading = readNow(standard, requestWith(fields))
      expect(reading).toMatchObject({ presented: undefined, absent: { cause: 'header-absent', header: 'client-cert' } })
    })
  }

  const malformed: [name: string, fields: () => [string, string][]][] = [
    ['no byte sequence', () => [['Client-Cert', 'MII']]],
    ['a list', () => [['Client-Cert', `${own()}, ${own()}`]]],
    ['a chain without a certificate', () => [['Client-Cert-Chain', own()]]],
    [
      'a chain beside an empty certificate',
      () => [
        ['Client-Cert', ''],
        ['Client-Cert-Chain', own()],
      ],
    ],
    [
      'a chain beside "::"',
      () => [
        ['Client-Cert', '::'],
        ['Client-Cert-Chain', own()],
      ],
    ],
    [
      'one broken member in the chain',
      () => [
        ['Client-Cert', own()],
        ['Client-Cert-Chain', `${own()}, :%:`],
      ],
    ],
    [
      'one broken line in the chain',
      () => [
        ['Client-Cert', own()],
        ['Client-Cert-Chain', own()],
        ['Client-Cert-Chain', 'x'],
      ],
    ],
  ]
  for (const [name, fields] of malformed) {
    test(`malformed: ${name}`, () => {
      expect(thrownBy(() => readNow(standard, requestWith(fields()))).code).toBe('ERR_CLIENT_CERT_HEADER_MALFORMED')
    })
  }

  const ambiguous: [name: string, fields: () => [string, string][]][] = [
    [
      'twice',
      () => [
        ['Client-Cert', own()],
        ['Client-Cert', own()],
      ],
    ],
    [
      'twice, once empty',
      () => [
        ['Client-Cert', ''],
        ['Client-Cert', own()],
      ],
    ],
    [
      'a twin',
      () => [
        ['Client-Cert', own()],
        ['Client_Cert', own()],
      ],
    ],
    ['a twin alone', () => [['Client_Cert', own()]]],
    [
      'a twin of the chain',
      () => [
        ['Client-Cert', own()],
        ['Client_Cert_Chain', own()],
      ],
    ],
    [
      'its name in Connection',
      () => [
        ['Client-Cert', own()],
        ['Connection', 'client-cert'],
      ],
    ],
    ['its name in Connection, and itself gone', () => [['Connection', 'client-cert']]],
    [
      'the chain’s name in Connection',
      () => [
        ['Client-Cert', own()],
        ['Connection', 'client-cert-chain'],
      ],
    ],
  ]
  for (const [name, fields] of ambiguous) {
    test(`ambiguous: ${name}`, () => {
      expect(thrownBy(() => readNow(standard, requestWith(fields()))).code).toBe('ERR_CLIENT_CERT_HEADER_AMBIGUOUS')
    })
  }

  test('untrusted: from a stranger, and H-01 not even decoded', () => {
    const decoders = [
      jest.spyOn(rfc9440, 'certificate'),
      jest.spyOn(rfc9440, 'chain' as never),
      jest.spyOn(escapedPem, 'certificate'),
    ]
    for (const source of [standard, nginx]) {
      for (const header of ['Client-Cert', 'Client-Cert-Chain', 'X-SSL-Client-Cert', 'x-ssl-CLIENT-cert']) {
        if (source === nginx ? !/ssl/i.test(header) : /ssl/i.test(header)) continue
        for (const value of [own(), 'garbage', '']) {
          const { code, detail } = thrownBy(() => readNow(source, requestWith([[header, value]], '203.0.113.9')))
          expect(code).toBe('ERR_CLIENT_CERT_UNTRUSTED_PROXY')
          expect(detail).toEqual({
            peer: '203.0.113.9',
            header: header.toLowerCase(),
            gate: "proxyAddress('10.0.3.7')",
          })
        }
      }
    }
    for (const decoder of decoders) {
      expect(decoder).not.toHaveBeenCalled()
      decoder.mockRestore()
    }
  })

  test('untrusted: a peer without an address', () => {
    const request = requestWith([['Client-Cert', own()]], null)
    expect(thrownBy(() => readNow(standard, request)).code).toBe('ERR_CLIENT_CERT_UNTRUSTED_PROXY')
  })

  test('a stranger without the header is absent, not untrusted', () => {
    expect(readNow(standard, requestWith([['Host', 'x']], '203.0.113.9'))).toMatchObject({ presented: undefined })
  })
})

describe('bounds', () => {
  test('H-14: a value of 64 KiB is measured, one longer is refused before it is decoded', () => {
    const decode = jest.spyOn(rfc9440, 'certificate')
    const value = (length: number) => `:${'A'.repeat(length - 2)}:`
    thrownBy(() => readNow(standard, requestWith([['Client-Cert', value(limits.headerBytes)]])))
    expect(decode).toHaveBeenCalledTimes(1)
    const { code, detail } = thrownBy(() =>
      readNow(standard, requestWith([['Client-Cert', value(limits.headerBytes + 4)]])),
    )
    expect([code, detail?.reason]).toEqual([
      'ERR_CLIENT_CERT_HEADER_MALFORMED',
      'came with 65540 octets, the limit is 65536',
    ])
    expect(decode).toHaveBeenCalledTimes(1)
    decode.mockRestore()
  })

  test('H-14: certificate and chain share the bound', () => {
    const half = `:${'A'.repeat(40_000)}:`
    expect(
      thrownBy(() =>
        readNow(
          standard,
          requestWith([
            ['Client-Cert', half],
            ['Client-Cert-Chain', half],
          ]),
        ),
      ).code,
    ).toBe('ERR_CLIENT_CERT_HEADER_MALFORMED')
  })

  test(`H-14: ${limits.presentedCertificates} certificates are read, one more is refused`, () => {
    const own = byteSequence(alice.certificate.der)
    const chain = (count: number): [string, string][] => [
      ['Client-Cert', own],
      ['Client-Cert-Chain', Array.from({ length: count }, () => own).join()],
    ]
    const { presented } = readNow(standard, requestWith(chain(limits.presentedCertificates - 1)))
    expect(presented?.intermediates).toHaveLength(limits.presentedCertificates - 1)
    expect(thrownBy(() => readNow(standard, requestWith(chain(limits.presentedCertificates)))).code).toBe(
      'ERR_CLIENT_CERT_HEADER_MALFORMED',
    )
  })

  test('H-07: among so many fields that Node may have dropped some, a header is ambiguous', () => {
    const fields = (count: number) => Array.from({ length: count }, (_, i): [string, string] => [`x-${i}`, 'x'])
    const read = (count: number) => () => readNow(standard, requestWith([['client-cert', ''], ...fields(count - 1)]))
    expect(read(limits.headerFields - 1)).not.toThrow()
    expect(read(limits.headerFields)).toThrow(expect.objectContaining({ code: 'ERR_CLIENT_CERT_HEADER_AMBIGUOUS' }))
    expect(bestTime(read(limits.headerFields - 1))).toBeLessThan(100)
  })
})

describe('options', () => {
  const cases: [given: unknown, said: string][] = [
    [undefined, 'expected { preset, from }'],
    [null, 'expected { preset, from }'],
    [{ preset: 'nginx' }, 'from is missing — who may send the header?'],
    [{ preset: 'nginx', from: '10.0.3.7' }, 'from is no gate — who may send the header?'],
    [{ preset: 'nginx', from: true }, 'who may send the header?'],
    [{ preset: 'ngnix', from }, 'Did you mean "nginx"?'],
    [{ preset: '__proto__', from }, 'unknown preset'],
    [{ preset: 'toString', from }, 'unknown preset'],
    [{ from }, 'unknown preset'],
    [{ preset: 'nginx', form: from, from }, 'Did you mean "from"?'],
    [{ preset: 'nginx', from, headers: { certificat: 'X' } }, 'Did you mean "certificate"?'],
    [{ preset: 'nginx', from, headers: { certificate: 'X Y' } }, 'is not a header name'],
    [{ preset: 'nginx', from, headers: { certificate: '' } }, 'is not a header name'],
    [{ preset: 'nginx', from, headers: { chain: 'X-Chain' } }, "preset 'nginx' has no chain header"],
    [{ preset: 'rfc9440', from, headers: { chain: 'client-CERT' } }, 'name the same header'],
  ]
  for (const [given, said] of cases) {
    test(`forwardedHeader(${JSON.stringify(given)}): ${said}`, () => {
      expect(() => forwardedHeader(given as never)).toThrow(said)
      expect(() => forwardedHeader(given as never)).toThrow(ClientCertConfigError)
    })
  }

  test('other names are taken for the preset’s, in any case', () => {
    const source = forwardedHeader({ preset: 'rfc9440', from, headers: { certificate: 'X-Cert', chain: false } })
    const reading = readNow(
      source,
      requestWith([
        ['x-CERT', byteSequence(alice.certificate.der)],
        ['Client-Cert', 'x'],
        ['Client-Cert-Chain', 'x'],
      ]),
    )
    expect(hex(reading.presented?.certificate)).toBe(hex(alice.certificate.der))
  })
})

describe('what a header says is decided in full', () => {
  const codecs = [
    {
      name: 'rfc9440',
      source: () => standard,
      header: 'Client-Cert',
      write: ({ certificate }: TestCredential) => byteSequence(certificate.der),
    },
    {
      name: 'nginx',
      source: () => nginx,
      header: 'X-SSL-Client-Cert',
      write: ({ certificate }: TestCredential) => escapedByNginx(certificate.pem),
    },
  ]
  for (const { name, source, header, write } of codecs) {
    const authenticator = () =>
      createAuthenticator({
        trust: pki.trust,
        intermediates: pki.intermediate.certificate.pem,
        revocation: 'none',
        log: false,
        source: source(),
      })

    test(`H-13 ${name}: one changed character is the same certificate or a refusal, never another one`, async () => {
      const auth = authenticator()
      const value = write(alice)
      const decide = async (text: string) => auth.authenticate(requestWith([[header, text]]))
      expect((await decide(value)).outcome).toBe('accepted')
      await fc.assert(
        fc.asyncProperty(fc.nat(value.length - 1), fc.integer({ min: 0x20, max: 0xff }), async (at, code) => {
          const decision = await decide(value.slice(0, at) + String.fromCharCode(code) + value.slice(at + 1))
          if (decision.outcome !== 'accepted') return
          expect(decision.identity.fingerprint).toBe(alice.fingerprint)
        }),
        { numRuns: 700 },
      )
    })

    test(`H-13 ${name}: one character more or less, or two exchanged, is the same certificate or a refusal`, async () => {
      const auth = authenticator()
      const value = write(alice)
      await fc.assert(
        fc.asyncProperty(fc.nat(value.length - 2), fc.integer({ min: 0x20, max: 0x7e }), async (at, code) => {
          const [before, one, two, after] = [
            value.slice(0, at),
            value[at],
            value[at + 1],
            value.slice(at + 2),
          ] as string[]
          for (const text of [
            `${before}${one}${after}`,
            `${before}${String.fromCharCode(code)}${one}${two}${after}`,
            `${before}${two}${one}${after}`,
          ]) {
            const decision = await auth.authenticate(requestWith([[header, text]]))
            if (decision.outcome === 'accepted') expect(decision.identity.fingerprint).toBe(alice.fingerprint)
          }
        }),
        { numRuns: 200 },
      )
    })

    test(`H-13 ${name}: one changed bit anywhere in the DER is a refusal`, async () => {
      const auth = authenticator()
      const { der } = alice.certificate
      for (let at = 0; at < der.length; at++) {
        const changed = Uint8Array.from(der)
        changed[at] = (changed[at] as number) ^ (1 << (at % 8))
        const pem = `-----BEGIN CERTIFICATE-----\n${Buffer.from(changed).toString('base64').replace(/.{64}/g, '$&\n')}\n-----END CERTIFICATE-----\n`
        const { outcome } = await auth.authenticate(
          requestWith([[header, write({ ...alice, certificate: { der: changed, pem } })]]),
        )
        expect([at, outcome]).toEqual([at, 'refused'])
      }
    })
  }

  test('H-13: a DER that is no certificate is a malformed header, with the octet for the operator', async () => {
    const auth = createAuthenticator({ trust: pki.trust, revocation: 'none', log: false, source: standard })
    for (const der of [
      Uint8Array.of(0x30, 0x00),
      Uint8Array.of(1, 2, 3),
      Buffer.concat([alice.certificate.der, Uint8Array.of(0)]),
    ]) {
      const decision = await auth.authenticate(requestWith([['Client-Cert', byteSequence(der)]]))
      expect(decision).toMatchObject({
        outcome: 'refused',
        error: { code: 'ERR_CLIENT_CERT_HEADER_MALFORMED', status: 400 },
      })
    }
  })

  test('H-13: one member of the chain that is no certificate refuses all, although the path is complete without it', async () => {
    const auth = createAuthenticator({ trust: pki.trust, revocation: 'none', log: false, source: standard })
    const chain = (...members: Uint8Array[]): AnyRequest =>
      requestWith([
        ['Client-Cert', byteSequence(alice.certificate.der)],
        ['Client-Cert-Chain', members.map(byteSequence).join(', ')],
      ])
    const issuer = alice.chain[0]?.der as Uint8Array
    expect(await auth.authenticate(chain(issuer, Uint8Array.of(0x30, 0)))).toMatchObject({
      error: { code: 'ERR_CLIENT_CERT_HEADER_MALFORMED' },
    })
    expect((await auth.authenticate(chain(issuer))).outcome).toBe('accepted')
  })
})

import 'reflect-metadata'
import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { beforeAll, describe, expect, test } from '@jest/globals'
import * as peculiar from '@peculiar/x509'
import fc from 'fast-check'
import { indexEntries, indexEntriesNow, type RevokedEntry } from '../../src/revocation/crl-index.js'
import { createTestPki, type TestPki, type TestRevocation } from '../../src/testing.js'
import { CertificateRevocationList } from '../../src/x509/crl.js'
import { CRLReason } from '../../src/x509/crl-entry.js'
import { requireTool } from '../support/clients.js'
import { serial } from '../support/crl-der.js'
import { openssl, temporaryFolder } from '../support/pki.js'

let pki: TestPki
beforeAll(async () => {
  pki = await createTestPki()
})

describe('what openssl ca wrote', () => {
  const testWithOpenssl = requireTool('openssl', 'version')
  const file = temporaryFolder()

  /** `openssl ca -gencrl` over an index.txt of these lines: date and reason, serial number. */
  function gencrl(revoked: readonly (readonly [date: string, serialNumber: string])[], extensions = ''): Uint8Array {
    const [key, certificate, index, number] = ['k.pem', 'c.pem', 'index.txt', 'number'].map((each) => file(each))
    openssl(
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-subj',
      '/CN=CA',
      '-days',
      '30',
      '-keyout',
      key as string,
      '-out',
      certificate as string,
    )
    const lines = revoked.map(([date, hex]) => `R\t270101000000Z\t${date}\t${hex}\tunknown\t/CN=${hex}\n`)
    writeFileSync(index as string, `${lines.join('')}V\t270101000000Z\t\t0AAA\tunknown\t/CN=valid\n`)
    writeFileSync(number as string, '1234\n')
    writeFileSync(
      file('ca.cnf'),
      `[ca]\ndefault_ca=d\n[d]\ndatabase=${index}\ncrlnumber=${number}\ndefault_md=sha256\ndefault_crl_days=30\ncrl_extensions=x\n[x]\nauthorityKeyIdentifier=keyid\n${extensions}`,
    )
    openssl(
      'ca',
      '-gencrl',
      '-config',
      file('ca.cnf'),
      '-keyfile',
      key as string,
      '-cert',
      certificate as string,
      '-out',
      file('crl.pem'),
    )
    openssl('crl', '-in', file('crl.pem'), '-outform', 'DER', '-out', file('crl.der'))
    return readFileSync(file('crl.der'))
  }

  testWithOpenssl('with every kind of entry and extension it knows', async () => {
    const crl = CertificateRevocationList.parse(
      gencrl(
        [
          ['260105000000Z', '01'],
          ['260105000001Z,keyTime,20250102030405Z', '7FABCD'],
          ['260105000002Z,holdInstruction,holdInstructionReject', 'FF00'],
          ['260105000003Z,superseded', 'FE'],
          ['260105000004Z,removeFromCRL', `FF${'0B'.repeat(19)}`],
        ],
        [
          'issuerAltName=URI:http://ca.example/',
          'freshestCRL=URI:http://crl.example/delta',
          'authorityInfoAccess=caIssuers;URI:http://ca.example/ca.cer',
          'issuingDistributionPoint=critical,@idp',
          '[idp]',
          'fullname=URI:http://crl.example/a.crl',
          'onlyuser=TRUE',
          'onlysomereasons=keyCompromise,CACompromise',
        ].join('\n'),
      ),
    )
    const { issuingDistributionPoint, freshestCRL, authorityInfoAccess, cRLNumber, issuerAltName } = crl.extensions
    expect(crl.issuer.toString()).toBe('CN=CA')
    expect(cRLNumber).toBe(0x1234n)
    expect([freshestCRL, authorityInfoAccess, issuerAltName].map((list) => list?.length)).toEqual([1, 1, 1])
    expect(issuingDistributionPoint).toMatchObject({
      fullName: [{ value: 'http://crl.example/a.crl' }],
      onlyContainsUserCerts: true,
      onlySomeReasons: 6,
      indirectCRL: false,
    })
    const index = await indexEntries(crl)
    const found = (hex: string) => index.find(serial(BigInt(`0x${hex}`)), crl.issuer)
    const at = (second: number, reason?: number) => ({ revocationDate: Date.UTC(2026, 0, 5, 0, 0, second), reason })
    expect(index.size).toBe(5)
    expect(found('01')).toEqual(at(0))
    expect(found('7FABCD')).toEqual({ ...at(1, 1), invalidityDate: Date.UTC(2025, 0, 2, 3, 4, 5) })
    expect(found('FF00')).toEqual(at(2, CRLReason.certificateHold))
    expect(found('FE')).toEqual(at(3, CRLReason.superseded))
    expect(found(`FF${'0B'.repeat(19)}`)).toEqual(at(4, CRLReason.removeFromCRL))
    expect(found('0AAA')).toBeUndefined()
  })

  testWithOpenssl('with 3,000 entries, and with none', async () => {
    const serials = Array.from({ length: 3_000 }, () => `4${randomBytes(16).toString('hex').slice(1)}`.toUpperCase())
    const crl = CertificateRevocationList.parse(
      gencrl(serials.map((hex, n) => [n % 2 ? '260105000000Z' : '260105000000Z,keyCompromise', hex])),
    )
    const index = await indexEntries(crl)
    expect(index.size).toBe(3_000)
    for (const [n, hex] of serials.entries()) {
      expect(index.find(serial(BigInt(`0x${hex}`)), crl.issuer)?.reason).toBe(n % 2 ? undefined : 1)
    }
    expect((await indexEntries(CertificateRevocationList.parse(gencrl([])))).size).toBe(0)
  })
})

describe('@peculiar/x509 reads the same', () => {
  /** It keeps neither the sign octet nor the sign. */
  const hexOf = (octets: Uint8Array) =>
    Buffer.from(octets)
      .toString('hex')
      .replace(/^00(?=[89a-f])/, '')

  const revocation = fc.record({
    value: fc.bigInt({ min: 1n, max: 2n ** 160n - 1n }),
    reason: fc.constantFrom<TestRevocation['reason'] | undefined>(
      undefined,
      'keyCompromise',
      'certificateHold',
      'aACompromise',
    ),
    date: fc.date({
      min: new Date('1950-01-01T00:00:00Z'),
      max: new Date('2100-01-01T00:00:00Z'),
      noInvalidDate: true,
    }),
    invalidityDate: fc.option(
      fc.date({ min: new Date('1950-01-01T00:00:00Z'), max: new Date('2100-01-01T00:00:00Z'), noInvalidDate: true }),
      { nil: undefined },
    ),
  })
  const seconds = (date: Date | undefined) => date && Math.floor(date.getTime() / 1000) * 1000

  test('of small CRLs', async () => {
    const lists = fc.sample(fc.uniqueArray(revocation, { selector: ({ value }) => value, maxLength: 20 }), 40)
    for (const list of lists) {
      const revoked = list.map(({ value, reason, date, invalidityDate: since }) => ({
        serialNumber: value.toString(16),
        date,
        ...(reason ? { reason } : {}),
        ...(since ? { invalidityDate: since } : {}),
      }))
      const { der } = await pki.crl({ revoked })
      const crl = CertificateRevocationList.parse(der)
      const index = indexEntriesNow(crl)
      const theirs = new peculiar.X509Crl(der)
      expect(crl.issuer.toString()).toBe(theirs.issuer)
      expect([crl.thisUpdate, crl.nextUpdate]).toEqual([theirs.thisUpdate.getTime(), theirs.nextUpdate?.getTime()])
      expect(Buffer.compare(crl.signature, new Uint8Array(theirs.signature))).toBe(0)
      expect(crl.extensionList.map(({ oid: type, critical }) => [type, critical])).toEqual(
        theirs.extensions.map(({ type, critical }) => [type, critical]),
      )
      expect(index.size).toBe(theirs.entries.length)
      for (const [n, their] of theirs.entries.entries()) {
        const { value, date, invalidityDate: since } = list[n] as (typeof list)[number]
        expect(hexOf(serial(value))).toBe(their.serialNumber)
        const found = index.find(serial(value), crl.issuer) as RevokedEntry
        expect(found.revocationDate).toBe(their.revocationDate.getTime())
        expect(found.revocationDate).toBe(seconds(date))
        expect(found.reason).toBe(their.reason)
        expect(found.invalidityDate).toBe(their.invalidity?.getTime())
        expect(found.invalidityDate).toBe(seconds(since))
      }
    }
  }, 60_000)
})

